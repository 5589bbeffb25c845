"""The engine: rows of any tenants in, scores out. It knows no HTTP, no queue and no tenant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from inference.pool.adapters import Adapter
from inference.pool.encoder import Segment


@dataclass(frozen=True, slots=True)
class Row:
    """One text's token ids, and the adapter to run them with."""

    ids: list[int]
    adapter: Adapter


Scores = tuple[float, ...]


class Engine:
    """Runs batches that mix tenants. A row's result depends on the row and its adapter only."""

    def __init__(self, threads: int = 1) -> None:
        """`threads`: how many cores one batch may take."""
        self._threads = threads

    def enter_thread(self) -> None:
        """To be called once by the thread that will call `classify`: torch keeps the setting by thread."""
        torch.set_num_threads(self._threads)

    def classify(self, rows: Sequence[Row]) -> list[Scores | None]:
        """For each row, in order, a probability for each of its adapter's labels.

        None for a row whose adapter computes something that is not a finite number.
        """
        results: list[Scores | None] = [None] * len(rows)
        with torch.inference_mode():
            for order in _by_encoder(rows):
                for index, scores in zip(order, _classify([rows[i] for i in order]), strict=True):
                    results[index] = scores
        return results


def _by_encoder(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Indexes of rows that share an encoder's weights, those of one adapter next to each other, by
    length."""

    def key(index: int) -> tuple[int, int, int]:
        row = rows[index]
        return id(row.adapter.encoder), id(row.adapter), len(row.ids)

    for _, indexes in groupby(
        sorted(range(len(rows)), key=key), key=lambda index: id(rows[index].adapter.encoder)
    ):
        yield list(indexes)


def _classify(rows: Sequence[Row]) -> list[Scores | None]:
    groups = [list(group) for _, group in groupby(rows, key=lambda row: id(row.adapter))]
    segments: list[Segment] = []
    start = 0
    for group in groups:
        end = start + sum(len(row.ids) for row in group)
        segments.append(Segment(start, end, group[0].adapter.layers))
        start = end
    pooled = rows[0].adapter.encoder.mean_pooled([row.ids for row in rows], segments)
    results: list[Scores | None] = []
    for group, part in zip(groups, pooled.split([len(group) for group in groups]), strict=True):
        adapter = group[0].adapter
        logits = torch.addmm(adapter.head_bias, part, adapter.head_weight.T)
        results.extend(_finite(scores) for scores in torch.softmax(logits, dim=-1))
    return results


def _finite(scores: Tensor) -> Scores | None:
    return tuple(scores.tolist()) if bool(torch.isfinite(scores).all()) else None
