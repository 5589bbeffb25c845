"""The engine: rows of any tenants in, numbers out. It knows no HTTP, no queue and no tenant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional as F

from core.catalogue import Task
from inference.pool.adapters import Adapter
from inference.pool.base import LoadedBase
from inference.pool.encoder import Segment


@dataclass(frozen=True, slots=True)
class Row:
    """One text's token ids, and what to run them with: an adapter, or a base model for the text's embedding.

    `reads` are the positions that the head looks at, ascending, where the task is tagging: one for each word.
    """

    ids: Sequence[int]
    weights: Adapter | LoadedBase
    reads: Sequence[int] | None = None


class Engine:
    """Runs batches that mix tenants and tasks. A row's result depends on the row and its adapter only."""

    def __init__(self, threads: int = 1) -> None:
        """`threads`: how many cores one batch may take."""
        self._threads = threads

    def enter_thread(self) -> None:
        """To be called once by the thread that will call `run`: torch keeps the setting by thread."""
        torch.set_num_threads(self._threads)

    def run(self, rows: Sequence[Row]) -> list[Tensor | None]:
        """For each row, in order, what its task gives, fp32:

        - classification, multi-label: a probability for each of its adapter's labels, [labels];
        - tagging: the probabilities of the tags at each position that is read, [positions, tags];
        - a base model: the embedding, mean-pooled and of length 1, [hidden].

        None for a row whose numbers are not all finite.
        """
        results: list[Tensor | None] = [None] * len(rows)
        with torch.inference_mode():
            for order in _by_encoder(rows):
                for index, result in zip(order, _run([rows[i] for i in order]), strict=True):
                    results[index] = result if bool(torch.isfinite(result).all()) else None
        return results


def _by_encoder(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Indexes of rows that share an encoder's weights, those of one adapter next to each other, by
    length."""

    def key(index: int) -> tuple[int, int, int]:
        row = rows[index]
        return id(row.weights.encoder), id(row.weights), len(row.ids)

    for _, indexes in groupby(sorted(range(len(rows)), key=key), key=lambda index: key(index)[0]):
        yield list(indexes)


def _run(rows: Sequence[Row]) -> list[Tensor]:
    """Results of rows of one encoder, those of one adapter next to each other."""
    groups = [list(group) for _, group in groupby(rows, key=lambda row: id(row.weights))]
    segments: list[Segment] = []
    start = 0
    for group in groups:
        end = start + sum(len(row.ids) for row in group)
        weights = group[0].weights
        segments.append(Segment(start, end, weights.layers if isinstance(weights, Adapter) else ()))
        start = end
    reads = [row.reads for row in rows]
    hidden = rows[0].weights.encoder.last_hidden_states([row.ids for row in rows], segments, reads)
    counts = [len(row.ids) if row.reads is None else len(row.reads) for row in rows]
    states = iter(hidden.split(counts))
    return [result for group in groups for result in _head(group[0].weights, [next(states) for _ in group])]


def _head(weights: Adapter | LoadedBase, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Results of rows that share `weights`, from their last hidden states, [positions, hidden] each."""
    if isinstance(weights, Adapter) and weights.task is Task.TAGGING:
        logits = torch.addmm(weights.head_bias, torch.cat(list(states)), weights.head_weight.T)
        return tuple(torch.softmax(logits, dim=-1).split([len(state) for state in states]))
    pooled = torch.stack([state.mean(dim=0) for state in states])
    if not isinstance(weights, Adapter):
        return F.normalize(pooled).unbind()
    logits = torch.addmm(weights.head_bias, pooled, weights.head_weight.T)
    if weights.task is Task.MULTI_LABEL:
        return torch.sigmoid(logits).unbind()
    return torch.softmax(logits, dim=-1).unbind()
