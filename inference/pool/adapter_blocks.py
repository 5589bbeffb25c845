"""Adapters in shared memory: written once by the pool's front process, read in place by every engine.

A block holds the length of its header (8 bytes, little-endian), the header (JSON: what `assemble` takes, and each
tensor's name, shape and place), and the tensors (fp32), each at a multiple of 64 bytes.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from core.catalogue import Task
from inference.pool.adapters import Adapter, assemble
from inference.pool.arena import Arena, Block
from inference.pool.base import LoadedBase

_ALIGNMENT = 64
_LENGTH_BYTES = 8
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class PlacedAdapter:
    """An adapter in shared memory: what the front process knows of it. `size_bytes` is all that it takes there."""

    digest: str
    task: Task
    base: LoadedBase
    labels: tuple[str, ...]
    max_length: int
    block: Block

    @property
    def base_id(self) -> str:
        return self.base.id

    @property
    def size_bytes(self) -> int:
        return self.block.size


def place(adapter: Adapter, arena: Arena) -> PlacedAdapter:
    """Write `adapter` into the arena. Raises ArenaFull."""
    tensors = adapter.tensors()
    sizes = [_aligned(tensor.nbytes) for tensor in tensors.values()]
    offsets = list(accumulate(sizes, initial=0))
    header = json.dumps(
        {
            "digest": adapter.digest,
            "task": adapter.task,
            "base": adapter.base.id,
            "labels": adapter.labels,
            "max_length": adapter.max_length,
            "tensors": [
                (name, tuple(tensor.shape), offset)
                for (name, tensor), offset in zip(tensors.items(), offsets, strict=False)
            ],
        }
    ).encode()
    start = _aligned(_LENGTH_BYTES + len(header))
    block = arena.allocate(start + offsets[-1])
    block.view[:_LENGTH_BYTES] = len(header).to_bytes(_LENGTH_BYTES, "little")
    block.view[_LENGTH_BYTES : _LENGTH_BYTES + len(header)] = header
    for tensor, offset in zip(tensors.values(), offsets, strict=False):
        _tensor(block.view, start + offset, tuple(tensor.shape)).copy_(tensor)
    return PlacedAdapter(
        adapter.digest, adapter.task, adapter.base, adapter.labels, adapter.max_length, block
    )


def read(view: memoryview, offset: int, bases: Mapping[str, LoadedBase]) -> Adapter:
    """The adapter in the arena's block at `offset`; its tensors are views of the arena."""
    start = offset + _LENGTH_BYTES
    length = int.from_bytes(view[offset:start], "little")
    header = json.loads(bytes(view[start : start + length]))
    first = offset + _aligned(_LENGTH_BYTES + length)
    return assemble(
        digest=header["digest"],
        task=Task(header["task"]),
        base=bases[header["base"]],
        labels=tuple(header["labels"]),
        max_length=header["max_length"],
        tensors={
            name: _tensor(view, first + place, tuple(shape)) for name, shape, place in header["tensors"]
        },
    )


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _tensor(view: memoryview, offset: int, shape: tuple[int, ...]) -> Tensor:
    count = prod(shape)
    if not count:
        return torch.empty(shape)
    with warnings.catch_warnings():
        # Engines map the arena for reading only, and never write into a weight.
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        return torch.frombuffer(view, dtype=torch.float32, count=count, offset=offset).view(shape)
