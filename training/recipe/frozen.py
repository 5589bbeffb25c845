"""What the frozen lower layers make of a split: computed once and kept where memory allows."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from training.recipe.batches import by_length, pad, token_mask
from training.recipe.encoder import Encoder, read
from training.recipe.tokens import Indexes, TokenizedSplit, spans, starts_of

TOKEN_BUDGET = 512
"""Tokens of one forward pass: a fraction of a second on one core."""

CACHE_BYTES = 1 << 30
_FLOAT_BYTES = 4


def fits(tokens: int, hidden_size: int, device: torch.device) -> bool:
    """Whether the outputs for so many tokens are kept. A GPU computes them faster than they could be copied to it."""
    return device.type == "cpu" and tokens * hidden_size * _FLOAT_BYTES <= CACHE_BYTES


class FrozenLayers:
    """The outputs of the encoder's layers below `last`, for the rows of one split."""

    def __init__(self, encoder: Encoder, split: TokenizedSplit, last: int, device: torch.device) -> None:
        self.split = split
        self._encoder = encoder
        self._last = last
        self.device = device
        self._cache: Tensor | None = None

    @torch.no_grad()
    def keep(self, beat: Callable[[int], None]) -> None:
        """Compute all rows and keep them; `beat` is told of every batch's tokens."""
        cache = torch.empty(self.split.tokens, self._encoder.hidden_size)
        for indexes in by_length(self.split.lengths, TOKEN_BUDGET):
            hidden, mask = self._compute(indexes)
            cache[self._places(indexes)] = hidden[mask]
            beat(int(self.split.lengths[indexes].sum()))
        self._cache = cache

    @torch.no_grad()
    def __call__(self, indexes: Indexes) -> tuple[Tensor, Tensor]:
        """The outputs of the rows at `indexes`, [rows, longest, hidden], and which of them are no padding."""
        if self._cache is None:
            return self._compute(indexes)
        mask = token_mask(self.split.lengths[indexes])
        hidden = torch.zeros(*mask.shape, self._cache.shape[1])
        hidden[mask] = self._cache[self._places(indexes)]
        return hidden, mask

    @torch.no_grad()
    def features(self, indexes: Indexes, beat: Callable[[int], None]) -> Tensor:
        """What a head would read of the rows at `indexes` on the frozen base, [labeled, hidden], on the CPU.

        `beat` is told of every batch's tokens.
        """
        lengths = self.split.lengths[indexes]
        starts = starts_of(np.diff(self.split.label_starts)[indexes])
        features = torch.empty(int(starts[-1]), self._encoder.hidden_size)
        for batch in by_length(lengths, TOKEN_BUDGET):
            hidden, mask = self(indexes[batch])
            hidden = self._encoder.run(hidden, mask, self._last, self._encoder.layers)
            found = read(hidden, mask, self.split.places_in(indexes[batch]))
            features[torch.from_numpy(spans(starts, batch))] = found.cpu()
            beat(int(lengths[batch].sum()))
        return features

    def _compute(self, indexes: Indexes) -> tuple[Tensor, Tensor]:
        ids, mask = pad(self.split, indexes, self.device)
        return self._encoder.run(self._encoder.embed(ids), mask, 0, self._last), mask

    def _places(self, indexes: Indexes) -> Tensor:
        """Where the tokens of the rows at `indexes` are in the cache, row by row."""
        return torch.from_numpy(spans(self.split.starts, indexes))
