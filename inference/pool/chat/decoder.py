"""The base decoder (Llama's architecture) over packed rows, each with its own low-rank adapter.

One pass takes the next token of every row that decodes and a stretch of the prompts that are still being read, one
behind the other in a single [tokens, hidden] tensor without padding. The frozen base's products run once over all of
them; attention runs row by row over exactly the tokens that the row has. So a row's numbers never meet another's, and
reading a prompt costs the rows that decode no second pass over the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from core.catalogue import WEIGHTS_FILE
from inference.pool.chat.config import LlamaConfig
from inference.pool.chat.lora import Join, join_shapes
from inference.pool.chat.passes import Pass, Stacked, Stretch, at_least
from inference.pool.chat.rope import interleaved, rotations
from inference.pool.encoder_weights import UnsupportedModel
from inference.pool.linear import SMALLEST_BATCH, Linear, LinearMap, MakeLinear


@dataclass(frozen=True, slots=True)
class _Layer:
    input_norm: Tensor
    query_key_value: LinearMap
    attention_output: LinearMap
    inner_norm: Tensor
    gate_up: LinearMap
    down: LinearMap


class Decoder:
    """A Llama decoder's weights and its forward pass. Weights are shared, never written.

    They are in memory once, in the processor's layout; but for the embeddings, which are looked up by row and are also
    the head.
    """

    def __init__(
        self,
        config: LlamaConfig,
        tensors: Mapping[str, Tensor],
        positions: int,
        linear: MakeLinear = Linear,
    ) -> None:
        """`tensors` by the names of the model's own file, fp32; `positions`: of the longest row; `linear` makes the maps.

        Raises UnsupportedModel if a tensor is missing.
        """
        self.config = config
        self.joins = join_shapes(config)
        self._rotations = rotations(positions, config.head_size, config.rope_theta)
        try:
            self._embeddings = tensors["model.embed_tokens.weight"].contiguous()
            self._head = linear(self._embeddings, None)
            self._norm = tensors["model.norm.weight"]
            self._layers = [
                _read_layer(config, tensors, f"model.layers.{i}", linear) for i in range(config.layers)
            ]
        except KeyError as missing:
            raise UnsupportedModel(f"The weights lack {missing}.") from None

    @classmethod
    def load(cls, folder: Path, positions: int, linear: MakeLinear = Linear) -> "Decoder":
        """The decoder in `folder`, for rows of at most `positions` tokens. Raises UnsupportedModel."""
        tensors = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS_FILE).items()}
        return cls(LlamaConfig.read(folder), tensors, positions, linear)

    def forward(
        self, stretches: Sequence[Stretch], stacks: Sequence[Stacked], sampled: Sequence[int]
    ) -> Tensor:
        """Read the stretches, one behind the other, and return logits [sampled, vocabulary].

        `sampled`: which tokens of the pass (counted over all stretches) are followed by one to be chosen.
        """
        batch = Pass(self.config, self.joins, stretches, stacks)
        turns = self._rotations[batch.positions]
        hidden = F.embedding(batch.ids, self._embeddings)
        for index, layer in enumerate(self._layers):
            hidden = self._forward_layer(index, layer, hidden, batch, turns)
        if not sampled:
            return hidden.new_empty(0, self.config.vocabulary)
        chosen = hidden[at_least(list(sampled), SMALLEST_BATCH)]
        return self._head(self._normalise(chosen, self._norm))[: len(sampled)]

    def _forward_layer(self, index: int, layer: _Layer, hidden: Tensor, batch: Pass, turns: Tensor) -> Tensor:
        x = self._normalise(hidden, layer.input_norm)
        qkv = layer.query_key_value(x)
        batch.change(index, Join.QUERY_KEY_VALUE, x, qkv)
        context = batch.attend(index, qkv, turns)
        attended = layer.attention_output.plus(context, hidden)
        batch.change(index, Join.ATTENTION_OUTPUT, context, attended)
        x = self._normalise(attended, layer.inner_norm)
        gate_up = layer.gate_up(x)
        batch.change(index, Join.GATE_UP, x, gate_up)
        gate, up = gate_up.chunk(2, dim=-1)
        inner = F.silu(gate).mul_(up)
        out = layer.down.plus(inner, attended)
        batch.change(index, Join.DOWN, inner, out)
        return out

    def _normalise(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self.config.rms_eps)


def _read_layer(
    config: LlamaConfig, tensors: Mapping[str, Tensor], prefix: str, linear: MakeLinear
) -> _Layer:
    query, key, value, output = (tensors[f"{prefix}.self_attn.{name}_proj.weight"] for name in "qkvo")
    gate, up, down = (tensors[f"{prefix}.mlp.{name}_proj.weight"] for name in ("gate", "up", "down"))
    size = config.head_size
    return _Layer(
        input_norm=tensors[f"{prefix}.input_layernorm.weight"],
        query_key_value=linear(torch.cat([interleaved(query, size), interleaved(key, size), value]), None),
        attention_output=linear(output, None),
        inner_norm=tensors[f"{prefix}.post_attention_layernorm.weight"],
        gate_up=linear(torch.cat([gate, up]), None),
        down=linear(down, None),
    )
