"""Chat adapters for the tests, as training writes them, with weights drawn at random."""

import torch
from safetensors.torch import save
from torch import Tensor

from core.catalogue import Task, default_base_model

BASE = default_base_model(Task.CHAT)
_LAYERS, _HEAD_SIZE, _HEADS, _KEY_HEADS = 30, 64, 9, 3
_MAPS = {"q_proj": _HEADS * _HEAD_SIZE, "v_proj": _KEY_HEADS * _HEAD_SIZE}


class ChatReference:
    """A chat model with LoRA on two of the attention's maps."""

    task = Task.CHAT
    method = "lora"
    rank = 4
    labels: tuple[str, ...] = ()

    def __init__(self, seed: int, scale: float = 0.05) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._scale = scale

    def file(self) -> bytes:
        metadata = {
            "format": "adaptary-adapter/1",
            "task": self.task.value,
            "base_model": BASE.id,
            "base_digest": BASE.sha256,
            "method": self.method,
            "rank": str(self.rank),
            "alpha": str(2 * self.rank),
            "labels": "[]",
            "max_length": str(BASE.max_length),
        }
        return save(self._tensors(), metadata=metadata)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {}
        for layer in range(_LAYERS):
            for name, width in _MAPS.items():
                prefix = f"model.layers.{layer}.self_attn.{name}"
                tensors[f"{prefix}.lora_A.weight"] = self._random(self.rank, BASE.hidden_size)
                tensors[f"{prefix}.lora_B.weight"] = self._random(width, self.rank)
        return tensors

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator) * self._scale
