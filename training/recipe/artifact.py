"""The adapter's file: what the shared pool loads."""

import json
from collections.abc import Mapping, Sequence

from safetensors.torch import save
from torch import Tensor

from core.catalogue import BaseModel
from core.models.fine_tune_jobs import Method
from training.recipe.encoder import alpha
from training.recipe.settings import FineTuneSettings

FORMAT = "adaptary-adapter/1"
TASK = "classification"


def adapter_file(
    tensors: Mapping[str, Tensor], base: BaseModel, settings: FineTuneSettings, labels: Sequence[str]
) -> bytes:
    """The file of an adapter of `base`, as safetensors.

    tensors: head.weight [labels, hidden] and head.bias [labels]; for LoRA each changed map's lora_A and lora_B, for a
    full fine-tune the base's own weights that were changed, under `base.`.
    """
    metadata = {
        "format": FORMAT,
        "task": TASK,
        "base_model": base.id,
        "base_digest": base.sha256,
        "method": settings.method.value,
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "max_length": str(base.max_length),
    }
    if settings.method is Method.LORA:
        metadata |= {"rank": str(settings.rank), "alpha": str(alpha(settings.rank))}
    return save(
        {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()},
        metadata=metadata,
    )
