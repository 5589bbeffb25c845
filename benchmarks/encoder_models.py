"""What the encoder's benchmarks run: tenants' random adapters, as PEFT has them and as the pool has them, and batches."""

import json
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save
from torch import Tensor
from transformers import BertForSequenceClassification, BertModel
from transformers.utils import logging as transformers_logging

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from inference.pool.adapter_files import FORMAT

RANK = 8
ALPHA = 2 * RANK
LABELS = [f"label {number}" for number in range(8)]
BATCH = 32

Head = tuple[Tensor, Tensor]
"""A classifier's weight [labels, hidden] and bias [labels]."""

Batch = list[tuple[int, list[int]]]
"""Tenants and their texts' token ids."""


def make_batches(tenants: int, count: int) -> list[Batch]:
    """Batches of BATCH texts of 8 to 64 tokens, each of a random one of so many tenants."""
    choose = random.Random(0)
    return [
        [
            (
                choose.randrange(tenants),
                [101, *(choose.randrange(1000, 30000) for _ in range(choose.randint(6, 62))), 102],
            )
            for _ in range(BATCH)
        ]
        for _ in range(count)
    ]


def load_bert() -> Any:
    """The base as transformers loads it."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    folder = str(get_base_model(DEFAULT_BASE_MODEL).folder())
    return BertModel.from_pretrained(folder, add_pooling_layer=False).eval()


def adapter_name(number: int) -> str:
    """An adapter's name in PEFT's model; a bare number would be taken for a layer's when PEFT saves it."""
    return f"tenant{number}"


@dataclass(frozen=True)
class PeftTenants:
    """The base with every tenant's adapter in it, all weights random, and the tenants' heads."""

    model: PeftModel
    heads: list[Head]

    @classmethod
    def make(cls, tenants: int) -> "PeftTenants":
        torch.manual_seed(0)
        config = LoraConfig(
            r=RANK, lora_alpha=ALPHA, target_modules=["query", "value"], init_lora_weights=False
        )
        base = load_bert()
        model = get_peft_model(base, config, adapter_name=adapter_name(0))
        for tenant in range(1, tenants):
            model.add_adapter(adapter_name(tenant), config)
        hidden = base.config.hidden_size
        heads = [(torch.randn(len(LABELS), hidden), torch.randn(len(LABELS))) for _ in range(tenants)]
        return cls(model.eval(), heads)

    def weights(self, tenant: int) -> dict[str, Tensor]:
        """A tenant's low-rank weights, by the names that training gives them."""
        suffix = f".{adapter_name(tenant)}.weight"
        return {
            name.removeprefix("base_model.model.").replace(suffix, ".weight"): parameter.detach().clone()
            for name, parameter in self.model.named_parameters()
            if name.endswith(suffix)
        }

    def adapter_file(self, tenant: int, *, low_rank: bool = True) -> bytes:
        """A tenant's adapter as training writes it; without its low-rank part, the head alone."""
        base = get_base_model(DEFAULT_BASE_MODEL)
        weight, bias = self.heads[tenant]
        metadata = {
            "format": FORMAT,
            "task": "classification",
            "base_model": base.id,
            "base_digest": base.sha256,
            "method": "lora",
            "rank": str(RANK),
            "alpha": str(ALPHA),
            "labels": json.dumps(LABELS),
            "max_length": str(base.max_length),
        }
        tensors = self.weights(tenant) if low_rank else {}
        return save({**tensors, "head.weight": weight, "head.bias": bias}, metadata=metadata)

    def save_merged(self, tenant: int, folder: Path) -> None:
        """A tenant's classifier as one model of its own, its adapter merged into the base, as transformers loads it.

        Its head reads the first token's pooled state, transformers' way for BERT, where ours reads the mean.
        """
        base = get_base_model(DEFAULT_BASE_MODEL).folder()
        names = dict(enumerate(LABELS))
        model = BertForSequenceClassification.from_pretrained(
            str(base), id2label=names, label2id={label: number for number, label in names.items()}
        )
        weights = self.weights(tenant)
        with torch.no_grad():
            for name in (name for name in weights if ".lora_A." in name):
                down, up = weights[name], weights[name.replace("lora_A", "lora_B")]
                adapted = model.bert.get_parameter(name.replace(".lora_A", ""))
                adapted.add_(up @ down, alpha=ALPHA / RANK)
            for parameter, value in zip(model.classifier.parameters(), self.heads[tenant], strict=True):
                parameter.copy_(value)
        model.save_pretrained(str(folder))
        for file in (base / "tokenizer.json", base / "tokenizer_config.json"):
            shutil.copy(file, folder)

    def save_one(self) -> Path:
        """A tenant's adapter as PEFT writes it: the folder to load it from."""
        folder = Path(tempfile.mkdtemp(prefix="adaptary-bench-"))
        self.model.save_pretrained(str(folder), selected_adapters=[adapter_name(0)])
        return folder / adapter_name(0)
