"""Adapter files for the tests: written as training writes them, from PEFT's own modules."""

import json
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, BertModel

from core.catalogue import DEFAULT_BASE_MODEL, Task, get_base_model

ALL_TARGETS = ("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense")
BASE = get_base_model(DEFAULT_BASE_MODEL)


class Reference:
    """One model as transformers and PEFT compute it, alone: what the pool has to agree with."""

    def __init__(
        self,
        labels: list[str],
        *,
        seed: int = 0,
        task: Task = Task.CLASSIFICATION,
        method: str = "lora",
        targets: tuple[str, ...] = ("query", "value"),
        rank: int = 8,
        alpha: int = 16,
        max_length: int = 256,
    ) -> None:
        self.task = task
        self.labels, self.method, self.rank, self.alpha, self.max_length = (
            labels,
            method,
            rank,
            alpha,
            max_length,
        )
        generator = torch.Generator().manual_seed(seed)
        self.base: Any = BertModel.from_pretrained(str(BASE.folder()), add_pooling_layer=False).eval()
        self.peft: PeftModel | None = None
        if method == "lora":
            config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=_pattern(targets))
            # PEFT draws lora_A from torch's own generator, which stands wherever earlier tests left it.
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.peft = get_peft_model(self.base, config).eval()
        with torch.no_grad():
            for name, parameter in self.base.named_parameters():
                if "lora_" in name or (method == "full" and "LayerNorm" not in name):
                    parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
        self.head_weight = torch.randn(len(labels), BASE.hidden_size, generator=generator)
        self.head_bias = torch.randn(len(labels), generator=generator)
        self.tokenizer = AutoTokenizer.from_pretrained(str(BASE.folder()))

    def scores(self, texts: list[str]) -> Tensor:
        """[texts, labels], computed as one padded batch."""
        logits = F.linear(self.pooled(texts), self.head_weight, self.head_bias)
        return torch.sigmoid(logits) if self.task is Task.MULTI_LABEL else torch.softmax(logits, dim=-1)

    def pooled(self, texts: list[str]) -> Tensor:
        """Means of the last hidden states, [texts, hidden]."""
        hidden, batch = self._hidden(texts)
        mask = batch["attention_mask"].unsqueeze(-1).float()
        pooled: Tensor = (hidden * mask).sum(1) / mask.sum(1)
        return pooled

    def tags(self, text: str) -> Tensor:
        """[words, tags]: each word's probabilities, at its first token."""
        hidden, batch = self._hidden([text])
        words = batch.word_ids(0)
        firsts = [place for place, word in enumerate(words) if word is not None and word != words[place - 1]]
        return torch.softmax(F.linear(hidden[0, firsts], self.head_weight, self.head_bias), dim=-1)

    def _hidden(self, texts: list[str]) -> tuple[Tensor, Any]:
        batch = self.tokenizer(
            texts, padding="longest", truncation=True, max_length=self.max_length, return_tensors="pt"
        )
        with torch.no_grad():
            return self.base(**batch).last_hidden_state, batch

    def tensors(self) -> dict[str, Tensor]:
        tensors = {"head.weight": self.head_weight, "head.bias": self.head_bias}
        for name, parameter in self.base.named_parameters():
            if self.method == "full":
                tensors[f"base.{name}"] = parameter.detach()
            elif "lora_" in name:
                tensors[name.replace(".default", "")] = parameter.detach()
        return tensors

    def metadata(self) -> dict[str, str]:
        return {
            "format": "adaptary-adapter/1",
            "task": self.task,
            "base_model": BASE.id,
            "base_digest": BASE.sha256,
            "method": self.method,
            "rank": str(self.rank),
            "alpha": str(self.alpha),
            "labels": json.dumps(self.labels),
            "max_length": str(self.max_length),
        }

    def file(self, tensors: dict[str, Tensor] | None = None, **metadata: str) -> bytes:
        """The adapter's file, with `tensors` and `metadata` laid over its own."""
        return save({**self.tensors(), **(tensors or {})}, metadata={**self.metadata(), **metadata})


def _pattern(targets: tuple[str, ...]) -> str:
    # Anchored at the layer: "output.dense" must not mean "attention.output.dense" too.
    names = "|".join(
        target if target.startswith("attention.") else rf"(attention\.self\.)?{target}" for target in targets
    )
    return rf"encoder\.layer\.\d+\.({names})"
