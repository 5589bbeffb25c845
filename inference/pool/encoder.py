"""The base encoder (BERT's architecture) over packed rows, each with its own low-rank adapter.

Rows lie one behind the other in a single [tokens, hidden] tensor without padding. The frozen base's
products run once over all of them; attention runs row by row (rows of one length together), and an
adapter's two thin products run over the stretch of rows that use it. Measured on one core against padding
rows to one shape and batched products: the loops are faster, because their work is a few per cent of the
base's, and a row's numbers never meet another's, so that NaN cannot spread.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from inference.pool.encoder_weights import EncoderConfig, LayerAdapter, LowRank
from inference.pool.linear import Linear, LinearMap, MakeLinear


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens [start, end) of the packed batch, of rows that use one adapter (by layer; empty: the base
    alone)."""

    start: int
    end: int
    layers: tuple[LayerAdapter, ...]


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class _Layer:
    query_key_value: LinearMap
    attention_output: LinearMap
    attention_norm: _Norm
    intermediate: LinearMap
    output: LinearMap
    output_norm: _Norm


_Change = tuple[int, int, LayerAdapter]
"""Tokens [start, end), and what an adapter changes for them in one layer."""


class Encoder:
    """A BERT encoder's weights and its forward pass. Weights are shared, never written."""

    def __init__(
        self,
        config: EncoderConfig,
        tensors: Mapping[str, Tensor],
        linear: MakeLinear = Linear,
    ) -> None:
        """`tensors` as `fuse` names them, fp32. `linear` makes a map of weight and bias, at the first batch."""
        self.config = config
        self.tensors = tensors
        self._linear = linear

    @cached_property
    def _embedding_norm(self) -> _Norm:
        return self._read_norm("norm")

    @cached_property
    def _layers(self) -> list[_Layer]:
        return [
            _Layer(
                query_key_value=self._read_linear(f"{index}.query_key_value"),
                attention_output=self._read_linear(f"{index}.attention_output"),
                attention_norm=self._read_norm(f"{index}.attention_norm"),
                intermediate=self._read_linear(f"{index}.intermediate"),
                output=self._read_linear(f"{index}.output"),
                output_norm=self._read_norm(f"{index}.output_norm"),
            )
            for index in range(self.config.layers)
        ]

    def last_hidden_states(
        self,
        rows: Sequence[Sequence[int]],
        segments: Sequence[Segment],
        reads: Sequence[Sequence[int] | None],
    ) -> Tensor:
        """The last layer's output for the positions that are read, [positions read, hidden], row after row.

        `rows` are token ids, each row at least one and at most `config.positions`. `segments` cover all
        tokens in order, and do not cut a row. `reads` has for each row the positions of interest, ascending, or
        None for all of them: where nothing is read, the last layer's products are saved.
        """
        lengths = [len(row) for row in rows]
        ids = torch.tensor([token for row in rows for token in row])
        positions = torch.cat([torch.arange(length) for length in lengths])
        hidden = self._embedding_norm(self.tensors["words"][ids] + self.tensors["positions"][positions])
        groups = _equal_length_groups(lengths)
        for index, layer in enumerate(self._layers[:-1]):
            context = self._attend(layer, hidden, groups, _changes(segments, index))
            hidden = _after_attention(layer, context, hidden, _changes(segments, index))
        layer, index = self._layers[-1], len(self._layers) - 1
        context = self._attend(layer, hidden, groups, _changes(segments, index))
        if any(read is not None for read in reads):
            chosen = _chosen_tokens(lengths, reads)
            context, hidden = context[chosen], hidden[chosen]
            segments = _among(chosen, segments)
        return _after_attention(layer, context, hidden, _changes(segments, index))

    def _attend(
        self,
        layer: _Layer,
        hidden: Tensor,
        groups: Sequence[tuple[int, int, int]],
        changes: Sequence[_Change],
    ) -> Tensor:
        """What each token's heads gather from its row, [tokens, hidden]."""
        qkv = layer.query_key_value(hidden)
        for start, end, change in changes:
            _apply(change.query_key_value, hidden, qkv, start, end)
        heads = self.config.heads
        size = self.config.hidden_size // heads
        context = qkv.new_empty(qkv.shape[0], self.config.hidden_size)
        for start, count, length in groups:
            end = start + count * length
            query, key, value = qkv[start:end].view(count, length, 3, heads, size).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(query, key, value, scale=1 / math.sqrt(size))
            context[start:end].view(count, length, heads, size).copy_(attended.transpose(1, 2))
        return context

    def _read_linear(self, name: str) -> LinearMap:
        return self._linear(self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _read_norm(self, name: str) -> _Norm:
        return _Norm(self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], self.config.layer_norm_eps)


def _after_attention(layer: _Layer, context: Tensor, hidden: Tensor, changes: Sequence[_Change]) -> Tensor:
    """The rest of the layer, token by token: [tokens, hidden] from what attention gathered and the layer's input."""
    attended = layer.attention_output.plus(context, hidden)
    for start, end, change in changes:
        _apply(change.attention_output, context, attended, start, end)
    hidden = layer.attention_norm(attended)
    inner = layer.intermediate(hidden)
    for start, end, change in changes:
        _apply(change.intermediate, hidden, inner, start, end)
    torch.ops.aten.gelu_(inner)  # in place: a fresh tensor of this size costs as much in page faults
    out = layer.output.plus(inner, hidden)
    for start, end, change in changes:
        _apply(change.output, inner, out, start, end)
    return layer.output_norm(out)


def _changes(segments: Sequence[Segment], layer: int) -> list[_Change]:
    return [(segment.start, segment.end, segment.layers[layer]) for segment in segments if segment.layers]


def _apply(change: LowRank | None, x: Tensor, y: Tensor, start: int, end: int) -> None:
    """Add the change's part to y[start:end], in place."""
    if change is None:
        return
    inner = x[start:end] @ change.down
    rank = 0
    for column, up in change.ups.items():
        y[start:end, column : column + up.shape[1]].addmm_(inner[:, rank : rank + len(up)], up)
        rank += len(up)


def _equal_length_groups(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Runs of neighbouring rows of one length, as (first token, rows, length): they attend in one call."""
    groups: list[tuple[int, int, int]] = []
    start = 0
    for length in lengths:
        if groups and groups[-1][2] == length:
            first, count, _ = groups[-1]
            groups[-1] = (first, count + 1, length)
        else:
            groups.append((start, 1, length))
        start += length
    return groups


def _chosen_tokens(lengths: Sequence[int], reads: Sequence[Sequence[int] | None]) -> Tensor:
    """The packed batch's tokens that are read, ascending."""
    chosen: list[int] = []
    start = 0
    for length, read in zip(lengths, reads, strict=True):
        chosen += range(start, start + length) if read is None else (start + position for position in read)
        start += length
    return torch.tensor(chosen, dtype=torch.long)


def _among(chosen: Tensor, segments: Sequence[Segment]) -> list[Segment]:
    """The segments by their places among the chosen tokens."""
    edges = torch.tensor([segment.end for segment in segments])
    ends = torch.searchsorted(chosen, edges).tolist()
    return [
        Segment(start, end, segment.layers)
        for start, end, segment in zip([0, *ends], ends, segments, strict=False)
    ]
