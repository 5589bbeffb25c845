"""Rows of a batch in one sequence, without padding. What all of them begin with, the system prompt as a rule, is there
once: a tree of one trunk, whose branches do not see each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.recipe.chat.tokens import TokenizedChats
from training.recipe.tokens import Indexes


@dataclass(frozen=True, slots=True)
class Layout:
    """How the tokens of a packed sequence stand to one another.

    positions: [1, tokens], each token's place in its own row; mask: [1, 1, tokens, tokens], which tokens (last axis)
    each one sees; before: [predicted], where the model has read all that comes before a token that it is to say.
    """

    positions: Tensor
    mask: Tensor
    before: Tensor


@dataclass(frozen=True, slots=True)
class Pack:
    """Packed rows. tokens: [tokens], where the split keeps each one; targets: [predicted], ids that are to be said."""

    layout: Layout
    tokens: Tensor
    targets: Tensor


def pack(split: TokenizedChats, indexes: Indexes, device: torch.device) -> Pack:
    """The rows of `split` at `indexes`, behind what all rows of the split begin with."""
    shared = split.shared
    rows = [np.arange(split.starts[i] + shared, split.starts[i + 1]) for i in indexes]
    # The trunk is the same in every row; that of the split's first serves all.
    tokens = np.concatenate([np.arange(shared), *rows])
    lengths = np.array([len(row) for row in rows])
    branches = np.concatenate([np.zeros(shared, np.int64), np.repeat(np.arange(1, len(rows) + 1), lengths)])
    positions = np.concatenate([np.arange(shared), *(shared + np.arange(length) for length in lengths)])
    said = np.flatnonzero(split.is_said[tokens])
    # A branch's first token comes behind the trunk's last.
    before = np.where(positions[said] == shared, shared - 1, said - 1)
    return Pack(
        Layout(
            positions=torch.from_numpy(positions).to(device).unsqueeze(0),
            mask=_mask(torch.from_numpy(branches)).to(device)[None, None],
            before=torch.from_numpy(before).to(device),
        ),
        tokens=torch.from_numpy(tokens),
        targets=torch.from_numpy(split.ids[tokens[said]].astype(np.int64)).to(device),
    )


def cut(order: Indexes, split: TokenizedChats, token_budget: int) -> Iterator[Indexes]:
    """`order` in pieces of at most `token_budget` tokens when packed (or of one row)."""
    lengths: Sequence[int] = (split.lengths[order] - split.shared).tolist()
    start, tokens = 0, split.shared
    for end, length in enumerate(lengths):
        if end > start and tokens + length > token_budget:
            yield order[start:end]
            start, tokens = end, split.shared
        tokens += length
    if len(order):
        yield order[start:]


def _mask(branches: Tensor) -> Tensor:
    """A token sees those before it in the trunk (branch 0) and in its own branch, and itself."""
    sees = (branches[:, None] == branches) | (branches == 0)
    return sees.tril()
