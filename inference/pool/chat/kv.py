"""Keys and values of the tokens that a row has read, and how many of them fit into memory."""

import torch
from torch import Tensor

from inference.pool.chat.config import LlamaConfig


class KvCache:
    """Memory for the keys and values of at most `tokens` tokens of all rows together.

    A row's memory is taken from the system when it is admitted and goes back at once when it ends: there is nothing to
    zero, no other row ever gets it, and rows of any length fit as long as their sum does.
    """

    def __init__(self, config: LlamaConfig, tokens: int) -> None:
        self._config = config
        self.tokens = tokens
        self.reserved = 0

    def reserve(self, tokens: int) -> "RowCache":
        """Room for a row of at most `tokens`. Raises ValueError if there is not so much."""
        if tokens > self.tokens - self.reserved:
            raise ValueError("The row does not fit.")
        self.reserved += tokens
        return RowCache(self._config, tokens)

    def release(self, row: "RowCache") -> None:
        """Give a row's memory back."""
        self.reserved -= row.capacity
        row.drop()


class RowCache:
    """One row's keys and values: [layer, key or value, 1, key head, token, head size]."""

    def __init__(self, config: LlamaConfig, capacity: int) -> None:
        self.capacity = capacity
        self._values = torch.empty(config.layers, 2, 1, config.kv_heads, capacity, config.head_size)

    def places(self, start: int, end: int) -> tuple[Tensor, ...]:
        """For each layer, where tokens [start, end) go: [key or value, key head, token, head size]."""
        return self._values[:, :, 0, :, start:end].unbind(0)

    def keys(self, end: int) -> tuple[Tensor, ...]:
        """For each layer, the keys of tokens [0, end): [1, key head, token, head size]."""
        return self._values[:, 0, :, :, :end].unbind(0)

    def values(self, end: int) -> tuple[Tensor, ...]:
        """For each layer, the values of tokens [0, end)."""
        return self._values[:, 1, :, :, :end].unbind(0)

    def drop(self) -> None:
        """Let go of the memory; nothing may be asked of the row any more."""
        self._values = torch.empty(0)
