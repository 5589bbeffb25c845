"""The base encoder (BERT's architecture) over packed rows, each with its own low-rank adapter.

Rows lie one behind the other in a single [tokens, hidden] tensor without padding. The frozen base's
products run once over all of them; attention runs row by row (rows of one length together), and an
adapter's two thin products run over the stretch of rows that use it. Measured on one core against padding
rows to one shape and batched products: the loops are faster, because their work is a few per cent of the
base's, and a row's numbers never meet another's, so that NaN cannot spread.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from core.catalogue import WEIGHTS_FILE


class UnsupportedModel(Exception):
    """The base model is not one that this encoder computes."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    positions: int
    layer_norm_eps: float

    @classmethod
    def read(cls, folder: Path) -> "EncoderConfig":
        """From the model's config.json. Raises UnsupportedModel."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise UnsupportedModel(f"{folder.name} is not a BERT encoder with GELU.")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise UnsupportedModel(f"{folder.name} does not use absolute positions.")
        return cls(
            hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            positions=config["max_position_embeddings"],
            layer_norm_eps=config["layer_norm_eps"],
        )


@dataclass(frozen=True, slots=True)
class LowRank:
    """A low-rank change of one linear map: x → x·down·up. `down` [in, rank], `up` [rank, out], scale folded
    in."""

    down: Tensor
    up: Tensor

    @property
    def size_bytes(self) -> int:
        return self.down.nbytes + self.up.nbytes


@dataclass(frozen=True, slots=True)
class LayerAdapter:
    """One layer's low-rank changes; None where the adapter leaves the base as it is.

    `query_key_value` changes the three maps at once, as the base computes them.
    """

    query_key_value: LowRank | None = None
    attention_output: LowRank | None = None
    intermediate: LowRank | None = None
    output: LowRank | None = None

    @property
    def size_bytes(self) -> int:
        changes = (self.query_key_value, self.attention_output, self.intermediate, self.output)
        return sum(change.size_bytes for change in changes if change is not None)


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens [start, end) of the packed batch, of rows that use one adapter (by layer; empty: the base
    alone)."""

    start: int
    end: int
    layers: tuple[LayerAdapter, ...]


@dataclass(frozen=True, slots=True)
class _Linear:
    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class _Layer:
    query_key_value: _Linear
    attention_output: _Linear
    attention_norm: _Norm
    intermediate: _Linear
    output: _Linear
    output_norm: _Norm


_Change = tuple[int, int, LayerAdapter]
"""Tokens [start, end), and what an adapter changes for them in one layer."""


class Encoder:
    """A BERT encoder's weights and its forward pass. Weights are shared, never written."""

    def __init__(self, config: EncoderConfig, tensors: Mapping[str, Tensor]) -> None:
        """`tensors` by the names of the model's own file, fp32. Raises UnsupportedModel if any is
        missing."""
        self.config = config
        try:
            self._words = tensors["embeddings.word_embeddings.weight"]
            # Every token of a single text has type 0, so its embedding can be added to the positions once.
            self._positions = (
                tensors["embeddings.position_embeddings.weight"]
                + tensors["embeddings.token_type_embeddings.weight"][0]
            )
            self._norm = self._read_norm(tensors, "embeddings.LayerNorm")
            self._layers = [self._read_layer(tensors, f"encoder.layer.{i}") for i in range(config.layers)]
        except KeyError as missing:
            raise UnsupportedModel(f"The weights lack {missing}.") from None

    @classmethod
    def load(cls, folder: Path) -> tuple["Encoder", dict[str, Tensor]]:
        """The encoder in `folder`, and its tensors by name."""
        tensors = {
            name: tensor.float()
            for name, tensor in load_file(folder / WEIGHTS_FILE).items()
            if "position_ids" not in name
        }
        return cls(EncoderConfig.read(folder), tensors), tensors

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
        hidden = self._norm(self._words[ids] + self._positions[positions])
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

    def _read_layer(self, tensors: Mapping[str, Tensor], prefix: str) -> _Layer:
        maps = [f"{prefix}.attention.self.{name}" for name in ("query", "key", "value")]
        return _Layer(
            query_key_value=_Linear(
                torch.cat([tensors[f"{name}.weight"] for name in maps]),
                torch.cat([tensors[f"{name}.bias"] for name in maps]),
            ),
            attention_output=_read_linear(tensors, f"{prefix}.attention.output.dense"),
            attention_norm=self._read_norm(tensors, f"{prefix}.attention.output.LayerNorm"),
            intermediate=_read_linear(tensors, f"{prefix}.intermediate.dense"),
            output=_read_linear(tensors, f"{prefix}.output.dense"),
            output_norm=self._read_norm(tensors, f"{prefix}.output.LayerNorm"),
        )

    def _read_norm(self, tensors: Mapping[str, Tensor], name: str) -> _Norm:
        return _Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"], self.config.layer_norm_eps)


def _read_linear(tensors: Mapping[str, Tensor], name: str) -> _Linear:
    return _Linear(tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _after_attention(layer: _Layer, context: Tensor, hidden: Tensor, changes: Sequence[_Change]) -> Tensor:
    """The rest of the layer, token by token: [tokens, hidden] from what attention gathered and the layer's input."""
    attended = layer.attention_output(context)
    for start, end, change in changes:
        _apply(change.attention_output, context, attended, start, end)
    hidden = layer.attention_norm(attended.add_(hidden))
    inner = layer.intermediate(hidden)
    for start, end, change in changes:
        _apply(change.intermediate, hidden, inner, start, end)
    inner = F.gelu(inner)
    out = layer.output(inner)
    for start, end, change in changes:
        _apply(change.output, inner, out, start, end)
    return layer.output_norm(out.add_(hidden))


def _changes(segments: Sequence[Segment], layer: int) -> list[_Change]:
    return [(segment.start, segment.end, segment.layers[layer]) for segment in segments if segment.layers]


def _apply(change: LowRank | None, x: Tensor, y: Tensor, start: int, end: int) -> None:
    """Add the change's part to y[start:end], in place."""
    if change is not None:
        y[start:end].addmm_(x[start:end] @ change.down, change.up)


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
