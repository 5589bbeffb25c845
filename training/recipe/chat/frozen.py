"""What the frozen lower layers make of a split's conversations: computed once and kept where memory allows."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from training.recipe.chat.decoder import Decoder
from training.recipe.chat.packing import Pack, cut, pack
from training.recipe.chat.tokens import TokenizedChats
from training.recipe.tokens import Indexes

TOKEN_BUDGET = 256
"""Tokens of one forward pass: about a second on one core."""


class FrozenDecoder:
    """The outputs of the decoder's layers below the trained ones, for the rows of one split."""

    def __init__(self, decoder: Decoder, split: TokenizedChats, device: torch.device) -> None:
        self.split = split
        self._decoder = decoder
        self._device = device
        self._cache: Tensor | None = None

    @torch.no_grad()
    def keep(self, beat: Callable[[int], None]) -> None:
        """Compute all rows and keep them; `beat` is told of every pass's tokens."""
        cache = torch.empty(self.split.tokens, self._decoder.hidden_size)
        for indexes in self.pieces():
            hidden, packed = self(indexes)
            cache[packed.tokens] = hidden[0]
            beat(len(packed.tokens))
        self._cache = cache

    @torch.no_grad()
    def __call__(self, indexes: Indexes) -> tuple[Tensor, Pack]:
        """The outputs for the rows at `indexes`, [1, tokens, hidden], and how they are packed."""
        packed = pack(self.split, indexes, self._device)
        if self._cache is not None:
            return self._cache[packed.tokens].unsqueeze(0), packed
        ids = torch.from_numpy(self.split.ids[packed.tokens.numpy()].astype(np.int64)).to(self._device)
        hidden = self._decoder.embed(ids)
        return self._decoder.run(hidden, packed.layout, 0, self._decoder.first_trained), packed

    def pieces(self) -> list[Indexes]:
        """All rows, the short ones first, as they are computed together."""
        return list(cut(np.argsort(self.split.lengths, kind="stable"), self.split, TOKEN_BUDGET))
