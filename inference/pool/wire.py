"""What the front process and an engine say to each other: frames of a JSON header and numbers.

A frame is the lengths of both (4 bytes each, little-endian), the header, and the numbers (int32 to the engine, fp32 from
it). Nothing is pickled.
"""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.pool.adapter_blocks import PlacedAdapter
from inference.pool.adapters import Adapter
from inference.pool.base import LoadedBase
from inference.pool.engine import Row

LENGTHS = struct.Struct("<II")

NO_READS = -1
NOT_FINITE = -1


@dataclass(frozen=True, slots=True, weakref_slot=True)
class QueuedRow:
    """A row of `engine.Row` as the front process holds it: its adapter is in shared memory."""

    ids: Sequence[int]
    weights: PlacedAdapter | LoadedBase
    reads: Sequence[int] | None = None


def frame(header: dict[str, Any], numbers: bytes = b"") -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return LENGTHS.pack(len(text), len(numbers)) + text + numbers


def unframe(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the numbers of a frame that came in one piece."""
    header, _ = LENGTHS.unpack_from(data)
    start = LENGTHS.size + header
    return json.loads(data[LENGTHS.size : start]), data[start:]


def in_shared_memory(adapter: PlacedAdapter) -> Any:
    """How an engine on this machine finds an adapter: its block's number and offset."""
    return adapter.block.number, adapter.block.offset


def batch_frame(rows: Sequence[QueuedRow], name: Callable[[PlacedAdapter], Any] = in_shared_memory) -> bytes:
    """A batch for an engine. Its weights are called by base id, or by what `name` makes of an adapter (JSON)."""
    header = {
        "weights": [
            row.weights.id if isinstance(row.weights, LoadedBase) else [name(row.weights)] for row in rows
        ],
        "lengths": [len(row.ids) for row in rows],
        "reads": [NO_READS if row.reads is None else len(row.reads) for row in rows],
    }
    numbers = [number for row in rows for number in (*row.ids, *(row.reads or ()))]
    return frame(header, np.asarray(numbers, dtype=np.int32).tobytes())


def results_frame(results: Sequence[Tensor | None]) -> bytes:
    """An engine's results."""
    shapes = [NOT_FINITE if result is None else list(result.shape) for result in results]
    numbers = b"".join(result.numpy().tobytes() for result in results if result is not None)
    return frame({"shapes": shapes}, numbers)


def read_results(header: dict[str, Any], numbers: bytes) -> list[Tensor | None]:
    """What `results_frame` was given."""
    values = torch.from_numpy(np.frombuffer(numbers, dtype=np.float32).copy())
    results: list[Tensor | None] = []
    start = 0
    for shape in header["shapes"]:
        if shape == NOT_FINITE:
            results.append(None)
            continue
        end = start + int(np.prod(shape))
        results.append(values[start:end].view(shape))
        start = end
    return results


def read_batch(
    header: dict[str, Any],
    numbers: bytes,
    adapter: Callable[[Any], Adapter],
    base: Callable[[str], LoadedBase],
) -> list[Row]:
    """The rows of a `batch_frame`. `adapter` gives the adapter of a name, `base` the base model of an id."""
    values = np.frombuffer(numbers, dtype=np.int32).tolist()
    rows: list[Row] = []
    start = 0
    for name, length, reads in zip(header["weights"], header["lengths"], header["reads"], strict=True):
        weights = base(name) if isinstance(name, str) else adapter(name[0])
        middle = start + length
        end = middle if reads == NO_READS else middle + reads
        rows.append(Row(values[start:middle], weights, None if reads == NO_READS else values[middle:end]))
        start = end
    return rows
