"""Checkpoints: everything that a fine-tune needs to go on, as safetensors. Nothing in one is executed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

FORMAT = "adaptary-checkpoint/1"


class UnreadableCheckpoint(Exception):
    """The bytes are not a checkpoint of this fine-tune."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`tensors` by name, and `values`: what JSON can hold, floats exactly."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any] = field(default_factory=dict)

    def encode(self, fingerprint: str) -> bytes:
        """The checkpoint's bytes, marked as those of the fine-tune with this `fingerprint`."""
        metadata = {"format": FORMAT, "fingerprint": fingerprint, "values": json.dumps(self.values)}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return save(tensors, metadata=metadata)

    @classmethod
    def decode(cls, data: bytes, fingerprint: str) -> "Checkpoint":
        """Raises UnreadableCheckpoint where `data` is damaged, or another fine-tune's."""
        try:
            tensors = load(data)
            length = int.from_bytes(data[:8], "little")
            metadata = json.loads(data[8 : 8 + length])["__metadata__"]
            if metadata["format"] != FORMAT or metadata["fingerprint"] != fingerprint:
                raise UnreadableCheckpoint("It belongs to another fine-tune.")
            return cls(tensors, json.loads(metadata["values"]))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UnreadableCheckpoint(f"It is damaged: {error}") from None

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under `prefix.`, by the rest of their names."""
        return {
            name.removeprefix(f"{prefix}."): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(f"{prefix}.")
        }


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with `prefix.` before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
