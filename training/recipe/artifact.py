"""The adapter's file: what the shared pool loads."""

import json
from collections.abc import Mapping, Sequence

from safetensors.torch import save
from torch import Tensor

from core.catalogue import BaseModel, Task
from core.models.fine_tune_jobs import Method
from training.recipe.encoder import alpha
from training.recipe.settings import FineTuneSettings

FORMAT = "adaptary-adapter/1"


def adapter_file(
    tensors: Mapping[str, Tensor],
    task: Task,
    base: BaseModel,
    settings: FineTuneSettings,
    labels: Sequence[str],
) -> bytes:
    """The file of an adapter of `base`, as safetensors.

    tensors: of an encoder, head.weight [labels, hidden] and head.bias [labels]; for LoRA each changed map's lora_A and
    lora_B, for a full fine-tune the base's own weights that were changed, under `base.`.
    labels: of the head's outputs, in their order (for tagging, BIO tags); none for chat.
    """
    metadata = {
        "format": FORMAT,
        "task": task.value,
        "base_model": base.id,
        "base_digest": base.sha256,
        "method": settings.method.value,
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "max_length": str(base.max_length),
    }
    if settings.method is Method.LORA:
        metadata |= {"rank": str(settings.rank), "alpha": str(alpha(settings.rank))}
    stored = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
    return with_sorted_header(save(stored, metadata=metadata))


def with_sorted_header(data: bytes) -> bytes:
    """The file with the names in its header in order. safetensors writes them in another one every time, and a file
    that is made again should have the digest that it had."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    padded = header.encode().ljust(end - 8)
    return len(padded).to_bytes(8, "little") + padded + data[end:]
