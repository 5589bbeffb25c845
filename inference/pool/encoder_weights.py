"""The weights of the base encoder (BERT's architecture) and of what an adapter changes in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

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
    """A low-rank change of one linear map, or of several that lie side by side: x → x·down·up.

    `down` is [in, ranks]. `ups` has by first column of the output what changes there, [rank, columns] with the scale
    folded in, in the order of the ranks.
    """

    down: Tensor
    ups: Mapping[int, Tensor]


@dataclass(frozen=True, slots=True)
class LayerAdapter:
    """One layer's low-rank changes; None where the adapter leaves the base as it is.

    `query_key_value` changes the three maps at once, as the base computes them.
    """

    query_key_value: LowRank | None = None
    attention_output: LowRank | None = None
    intermediate: LowRank | None = None
    output: LowRank | None = None

    def changes(self) -> dict[str, LowRank]:
        """The changes that there are, by name."""
        changes = {
            "query_key_value": self.query_key_value,
            "attention_output": self.attention_output,
            "intermediate": self.intermediate,
            "output": self.output,
        }
        return {name: change for name, change in changes.items() if change is not None}


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of the model's file by name, fp32. Mapped from the file: processes that load it share its pages."""
    return {
        name: tensor.float()
        for name, tensor in load_file(folder / WEIGHTS_FILE).items()
        if "position_ids" not in name
    }


def fuse(tensors: Mapping[str, Tensor], config: EncoderConfig) -> dict[str, Tensor]:
    """The weights by the names that the encoder computes with, from those of the model's own file.

    Query, key and value become one linear map. Raises UnsupportedModel if any is missing.
    """
    try:
        fused = {
            "words": tensors["embeddings.word_embeddings.weight"],
            # Every token of a single text has type 0, so its embedding can be added to the positions once.
            "positions": tensors["embeddings.position_embeddings.weight"]
            + tensors["embeddings.token_type_embeddings.weight"][0],
        }
        for part in ("weight", "bias"):
            fused[f"norm.{part}"] = tensors[f"embeddings.LayerNorm.{part}"]
            for index in range(config.layers):
                own = f"encoder.layer.{index}"
                maps = [f"{own}.attention.self.{name}.{part}" for name in ("query", "key", "value")]
                fused[f"{index}.query_key_value.{part}"] = torch.cat([tensors[name] for name in maps])
                for name, full_name in _NAMES.items():
                    fused[f"{index}.{name}.{part}"] = tensors[f"{own}.{full_name}.{part}"]
    except KeyError as missing:
        raise UnsupportedModel(f"The weights lack {missing}.") from None
    return fused


_NAMES = {
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
