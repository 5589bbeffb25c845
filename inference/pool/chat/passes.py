"""One pass of the decoder over the next tokens of several rows: who reads what, and sees what."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from inference.pool.chat.config import LlamaConfig
from inference.pool.chat.kv import RowCache
from inference.pool.chat.lora import AdapterStack, Join, JoinShape, LayerChanges
from inference.pool.chat.rope import rotate
from inference.pool.linear import SMALLEST_BATCH


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens of one row that are next to be read: their ids, and the place of the first in the row.

    `adapter` (by layer) changes them here; it is empty for the base alone, and where a stack holds it.
    """

    ids: Sequence[int]
    position: int
    cache: RowCache
    adapter: Sequence[LayerChanges] = ()

    @property
    def end(self) -> int:
        return self.position + len(self.ids)


@dataclass(frozen=True, slots=True)
class Stacked:
    """A stack, and the first of the tokens that meet its slots: one token a slot, in order."""

    stack: AdapterStack
    first: int


class Pass:
    """Stretches one behind the other, with all that does not depend on the layer worked out once.

    `ids` and `positions` [tokens] hold at least SMALLEST_BATCH tokens: a single one is there twice.
    """

    def __init__(
        self,
        config: LlamaConfig,
        joins: Sequence[JoinShape],
        stretches: Sequence[Stretch],
        stacks: Sequence[Stacked],
    ) -> None:
        self._config = config
        self._joins = joins
        self._stacks = [(each.stack, each.first, each.first + len(each.stack)) for each in stacks]
        ids = [token for stretch in stretches for token in stretch.ids]
        positions = [place for stretch in stretches for place in range(stretch.position, stretch.end)]
        self.ids = torch.tensor(at_least(ids, SMALLEST_BATCH))
        self.positions = torch.tensor(at_least(positions, SMALLEST_BATCH))
        self._tokens = len(ids)
        self._views = [_View(config, stretch) for stretch in stretches]
        self._changes: list[tuple[int, int, Sequence[LayerChanges]]] = []
        start = 0
        for stretch in stretches:
            if stretch.adapter:
                self._changes.append((start, start + len(stretch.ids), stretch.adapter))
            start += len(stretch.ids)

    def change(self, layer: int, join: Join, x: Tensor, y: Tensor) -> None:
        """Add the adapters' parts of x [tokens, in] to y [tokens, out], in place."""
        for stack, first, end in self._stacks:
            if stack.changes(layer, join):
                stack.add_to(layer, join, x[first:end], y[first:end])
        for start, end, adapter in self._changes:
            change = adapter[layer][join]
            if change is not None:
                change.add_to(x[start:end], y[start:end], self._joins[join])

    def attend(self, layer: int, qkv: Tensor, rotations: Tensor) -> Tensor:
        """Rotate queries and keys, remember keys and values, and return what each token sees, [tokens, query
        size]."""
        config = self._config
        rotated = config.heads + config.kv_heads
        rotate(
            qkv[:, : rotated * config.head_size].view(-1, rotated, config.head_size),
            rotations,
        )
        queries = qkv[:, : config.query_size].view(-1, config.kv_heads, config.group, config.head_size)
        remembered = qkv[:, config.query_size :].view(-1, 2, config.kv_heads, config.head_size)
        seen = []
        start = 0
        for view in self._views:
            end = start + view.tokens
            seen.append(view.attend(layer, queries[start:end], remembered[start:end]))
            start = end
        if qkv.shape[0] > self._tokens:
            seen.append(seen[0])
        return torch.cat(seen)


class _View:
    """One stretch's row, as each layer sees it."""

    def __init__(self, config: LlamaConfig, stretch: Stretch) -> None:
        self.tokens = len(stretch.ids)
        self._places = stretch.cache.places(stretch.position, stretch.end)
        self._keys = stretch.cache.keys(stretch.end)
        self._values = stretch.cache.values(stretch.end)
        self._mask = None if self.tokens == 1 else _mask(stretch, config.group)

    def attend(self, layer: int, queries: Tensor, remembered: Tensor) -> Tensor:
        """What the stretch's tokens see: queries [tokens, key head, group, head size] and remembered [tokens, key or
        value, key head, head size] → [tokens, query size]."""
        self._places[layer].copy_(remembered.permute(1, 2, 0, 3))
        keys, values = self._keys[layer], self._values[layer]
        if self._mask is None:
            # The heads of a group, which share keys, stand as if they were tokens.
            return F.scaled_dot_product_attention(queries, keys, values).reshape(1, -1)
        tokens, kv_heads, group, size = queries.shape
        grouped = queries.permute(1, 2, 0, 3).reshape(1, kv_heads, group * tokens, size)
        seen = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=self._mask)
        return seen.view(kv_heads, group, tokens, size).permute(2, 0, 1, 3).reshape(tokens, -1)


def at_least(values: list[int], count: int) -> list[int]:
    """`values`, with the first again until there are `count`."""
    return values + values[:1] * (count - len(values))


def _mask(stretch: Stretch, group: int) -> Tensor:
    """Which of the row's tokens [0, end) the queries see: themselves and those before. [group · tokens, end]."""
    own = torch.arange(stretch.position, stretch.end).unsqueeze(1)
    mask = torch.zeros(len(stretch.ids), stretch.end).masked_fill_(
        torch.arange(stretch.end) > own, -torch.inf
    )
    return mask.repeat(group, 1)
