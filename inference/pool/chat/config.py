"""What a base model's config.json says of its shape."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.pool.encoder_weights import UnsupportedModel


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """`end_ids` are the tokens that end an answer."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    rms_eps: float
    rope_theta: float
    end_ids: frozenset[int]

    @property
    def query_size(self) -> int:
        return self.heads * self.head_size

    @property
    def kv_size(self) -> int:
        """Width of the keys, and of the values, of one token in one layer."""
        return self.kv_heads * self.head_size

    @property
    def group(self) -> int:
        """How many query heads share a key head."""
        return self.heads // self.kv_heads

    @classmethod
    def read(cls, folder: Path) -> "LlamaConfig":
        """From the model's config.json. Raises UnsupportedModel."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") != "llama" or config.get("hidden_act") != "silu":
            raise UnsupportedModel(f"{folder.name} is not a Llama decoder with SiLU.")
        if config.get("attention_bias") or config.get("mlp_bias"):
            raise UnsupportedModel(f"{folder.name} has biases, which this decoder does not compute.")
        if not config.get("tie_word_embeddings"):
            raise UnsupportedModel(f"{folder.name} has a head of its own, not its embeddings.")
        rope = _rope(config, folder.name)
        heads = config["num_attention_heads"]
        ends = config["eos_token_id"]
        return cls(
            hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config["num_key_value_heads"],
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            vocabulary=config["vocab_size"],
            rms_eps=config["rms_norm_eps"],
            rope_theta=rope["rope_theta"],
            end_ids=frozenset(ends if isinstance(ends, list) else [ends]),
        )


def _rope(config: dict[str, Any], name: str) -> dict[str, Any]:
    rope: dict[str, Any] = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
    if rope.get("rope_type", "default") != "default":
        raise UnsupportedModel(f"{name} scales its rotary positions, which this decoder does not compute.")
    return rope
