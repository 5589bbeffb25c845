"""Which rows are computed together: rows of about one length, so that hardly anything is padding."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from training.recipe.tokens import Indexes, TokenizedSplit, spans

_BUCKET_BATCHES = 16


def by_length(lengths: Indexes, token_budget: int) -> Iterator[Indexes]:
    """All rows, the short ones first, in batches of at most `token_budget` tokens with padding (or of one row)."""
    order = np.argsort(lengths, kind="stable")
    yield from cut(order, lengths, token_budget)


def cut(order: Indexes, lengths: Indexes, token_budget: int) -> Iterator[Indexes]:
    """`order`, whose rows grow longer, in pieces of at most `token_budget` tokens with padding (or of one row)."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > token_budget:
            yield order[start:end]
            start = end


def epoch_batches(lengths: Indexes, rows: int, seed: int, epoch: int) -> list[Indexes]:
    """One epoch's batches of `rows` rows, in random order; the rows of a batch grow longer.

    The rows are shuffled and sorted by length within stretches of a few batches only, so that a row meets others in
    every epoch. What comes out follows from the arguments alone, so that a resumed training goes on in it.
    """
    random = np.random.default_rng([seed, epoch])
    shuffled = random.permutation(len(lengths))
    batches = []
    for start in range(0, len(shuffled), rows * _BUCKET_BATCHES):
        bucket = shuffled[start : start + rows * _BUCKET_BATCHES]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[first : first + rows] for first in range(0, len(bucket), rows)]
    return [batches[index] for index in random.permutation(len(batches))]


def pad(split: TokenizedSplit, indexes: Indexes, device: torch.device) -> tuple[Tensor, Tensor]:
    """The token ids of the rows at `indexes`, [rows, longest], and which of them are no padding."""
    mask = token_mask(split.lengths[indexes])
    ids = torch.zeros(mask.shape, dtype=torch.int64)
    ids[mask] = torch.from_numpy(split.ids[spans(split.starts, indexes)].astype(np.int64))
    return ids.to(device), mask.to(device)


def token_mask(lengths: Indexes) -> Tensor:
    """For rows of these lengths, which places of [rows, longest] are tokens."""
    return torch.arange(int(lengths.max())) < torch.from_numpy(lengths).unsqueeze(1)
