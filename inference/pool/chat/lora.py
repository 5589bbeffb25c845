"""Low-rank changes of the decoder's maps: how they are laid out, and how rows meet them.

The decoder computes some maps at once (query, key and value; gate and up). A *join* is such a set of maps, and its
output falls into *blocks* of one width, each of which belongs to one map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from inference.pool.chat.config import LlamaConfig

STACK_RANKS = (8, 16, 32)
"""Ranks that a stack is padded to. An adapter of a higher one would make a stack slow for all: it runs by itself."""


class Join(IntEnum):
    """The decoder's maps, as it computes them."""

    QUERY_KEY_VALUE = 0
    ATTENTION_OUTPUT = 1
    GATE_UP = 2
    DOWN = 3


@dataclass(frozen=True, slots=True)
class JoinShape:
    """`inputs` wide; `maps` by their names and widths; `block` is the width of a block, `owners` the map of each."""

    inputs: int
    maps: tuple[tuple[str, int], ...]
    block: int
    owners: Tensor

    @property
    def each_its_own(self) -> bool:
        """Whether every map has exactly one block."""
        return self.owners.shape[0] == len(self.maps)


def join_shapes(config: LlamaConfig) -> tuple[JoinShape, ...]:
    """The decoder's joins, in the order of Join."""
    hidden, inner, query, kv = (
        config.hidden_size,
        config.intermediate_size,
        config.query_size,
        config.kv_size,
    )
    attention = (("self_attn.q_proj", query), ("self_attn.k_proj", kv), ("self_attn.v_proj", kv))
    return (
        JoinShape(hidden, attention, kv, torch.tensor([0] * config.group + [1, 2])),
        JoinShape(query, (("self_attn.o_proj", hidden),), hidden, torch.tensor([0])),
        JoinShape(hidden, (("mlp.gate_proj", inner), ("mlp.up_proj", inner)), inner, torch.tensor([0, 1])),
        JoinShape(inner, (("mlp.down_proj", hidden),), hidden, torch.tensor([0])),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One adapter's change of one join: `down` [in, map, rank] and `up` [block, rank, block width], scale folded
    in."""

    down: Tensor
    up: Tensor

    @property
    def size_bytes(self) -> int:
        return self.down.nbytes + self.up.nbytes

    def add_to(self, x: Tensor, y: Tensor, shape: JoinShape) -> None:
        """Add the change's part of x [tokens, in] to y [tokens, out], in place."""
        tokens = x.shape[0]
        inner = (x @ self.down.flatten(1)).view(tokens, len(shape.maps), -1).transpose(0, 1)
        if not shape.each_its_own:
            inner = inner.index_select(0, shape.owners)
        blocks = y.view(tokens, shape.owners.shape[0], shape.block).transpose(0, 1)
        blocks.add_(torch.bmm(inner, self.up))


LayerChanges = tuple[Change | None, ...]
"""A layer's changes, in the order of Join; None where the adapter leaves the base as it is."""


class AdapterStack:
    """The adapters of rows that decode together, one beside the other, so that a batched product meets them all.

    A row's adapter is copied into its slot once, when the row joins: slot i is the i-th row's. Rows of other ranks are
    padded with zeros to the stack's.
    """

    def __init__(self, rank: int, shapes: Sequence[JoinShape], layers: int) -> None:
        self.rank = rank
        self._shapes = shapes
        self._capacity = 0
        self._users = [[0] * len(shapes) for _ in range(layers)]
        self._down: list[list[Tensor | None]] = [[None] * len(shapes) for _ in range(layers)]
        self._up: list[list[Tensor | None]] = [[None] * len(shapes) for _ in range(layers)]
        self._slots: list[Sequence[LayerChanges]] = []

    def __len__(self) -> int:
        return len(self._slots)

    def join(self, adapter: Sequence[LayerChanges]) -> None:
        """Put an adapter (by layer) into the next slot."""
        slot = len(self._slots)
        self._slots.append(adapter)
        if slot == self._capacity:
            self._grow()
        for layer, changes in enumerate(adapter):
            for join, change in enumerate(changes):
                self._write(layer, join, slot, change)

    def leave(self, slot: int) -> None:
        """Empty a slot; the last slot's adapter moves into it."""
        last = len(self._slots) - 1
        for layer, changes in enumerate(self._slots[slot]):
            for join, change in enumerate(changes):
                self._erase(layer, join, slot, last, used=change is not None)
        self._slots[slot] = self._slots[last]
        self._slots.pop()

    def changes(self, layer: int, join: Join) -> bool:
        """Whether any slot's adapter changes the join."""
        return self._users[layer][join] > 0

    def add_to(self, layer: int, join: Join, x: Tensor, y: Tensor) -> None:
        """Add each slot's part of x [slots, in] to y [slots, out], in place, where the stack `changes` the join."""
        down, up = self._down[layer][join], self._up[layer][join]
        assert down is not None
        assert up is not None
        shape = self._shapes[join]
        rows, blocks = x.shape[0], shape.owners.shape[0]
        inner = torch.bmm(x.unsqueeze(1), down[:rows].flatten(2))
        if not shape.each_its_own:
            inner = inner.view(rows, len(shape.maps), self.rank).index_select(1, shape.owners)
        y.view(rows * blocks, 1, shape.block).baddbmm_(
            inner.view(rows * blocks, 1, self.rank), up[:rows].flatten(0, 1)
        )

    def _write(self, layer: int, join: int, slot: int, change: Change | None) -> None:
        if change is None and not self._users[layer][join]:
            return
        if change is not None:
            self._users[layer][join] += 1
        down, up = self._tensors(layer, join)
        down[slot].zero_()
        up[slot].zero_()
        if change is not None:
            rank = change.up.shape[1]
            down[slot, :, :, :rank] = change.down
            up[slot, :, :rank] = change.up

    def _erase(self, layer: int, join: int, slot: int, last: int, *, used: bool) -> None:
        self._users[layer][join] -= used
        down, up = self._down[layer][join], self._up[layer][join]
        if down is None or up is None:
            return
        if not self._users[layer][join]:
            self._down[layer][join] = self._up[layer][join] = None
        elif slot != last:
            down[slot] = down[last]
            up[slot] = up[last]

    def _tensors(self, layer: int, join: int) -> tuple[Tensor, Tensor]:
        """The stack's tensors of one join; zeros where there were none: [slot, in, map, rank] and [slot, block,
        rank, block width]."""
        down, up = self._down[layer][join], self._up[layer][join]
        if down is None or up is None:
            shape = self._shapes[join]
            down = torch.zeros(self._capacity, shape.inputs, len(shape.maps), self.rank)
            up = torch.zeros(self._capacity, len(shape.owners), self.rank, shape.block)
            self._down[layer][join], self._up[layer][join] = down, up
        return down, up

    def _grow(self) -> None:
        self._capacity = max(1, 2 * self._capacity)
        for tensors in (*self._down, *self._up):
            for join, tensor in enumerate(tensors):
                if tensor is not None:
                    larger = tensor.new_zeros(self._capacity, *tensor.shape[1:])
                    larger[: len(tensor)] = tensor
                    tensors[join] = larger
