"""What the front process and an engine say to each other over two pipes: frames of a JSON header and numbers.

A frame is the lengths of both (4 bytes each, little-endian), the header, and the numbers (int32 to the engine, fp32 from
it). Nothing is pickled.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.pool.adapter_blocks import PlacedAdapter
from inference.pool.base import LoadedBase

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


def batch_frame(rows: Sequence[QueuedRow]) -> bytes:
    """A batch for an engine. Its weights are named by base id, or by a block's number and offset."""
    header = {
        "weights": [_name(row.weights) for row in rows],
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


def _name(weights: PlacedAdapter | LoadedBase) -> str | tuple[int, int]:
    if isinstance(weights, LoadedBase):
        return weights.id
    return weights.block.number, weights.block.offset
