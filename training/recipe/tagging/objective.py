"""Tagging: which words of a text are entities, and of which kind."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.catalogue import Task
from training.recipe import probe
from training.recipe.data import TaggedExample
from training.recipe.f1 import Hits
from training.recipe.objective import FittedHead
from training.recipe.tagging.entities import bio_tags, hits
from training.recipe.tagging.tokens import tokenize
from training.recipe.tokens import Indexes, TextTokenizer, TokenizedSplit


class Tagging:
    """See training.recipe.objective.Objective. The head gives each word a BIO tag; entities are what is measured."""

    task = Task.TAGGING

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._entities = tuple(sorted(labels))
        self.labels = bio_tags(labels)

    def tokenize(
        self, tokenizer: TextTokenizer, examples: Sequence[TaggedExample], beat: Callable[[int], None]
    ) -> TokenizedSplit:
        return tokenize(tokenizer, examples, self.labels, beat)

    def text(self, example: TaggedExample) -> str:
        return " ".join(example.tokens)

    def probe_rows(self, split: TokenizedSplit, seed: int) -> Indexes:
        """As many rows, at random, as have the words that a probe is fitted to at most."""
        order = np.random.default_rng(seed).permutation(len(split))
        words = np.cumsum(np.diff(split.label_starts)[order])
        return np.sort(order[: max(1, int((words <= probe.MAX_ROWS).sum()))])

    def fit_probe(
        self, features: Tensor, split: TokenizedSplit, rows: Indexes, beat: Callable[[int], None]
    ) -> FittedHead:
        labels = split.labels[split.labeled(rows)]
        return FittedHead(probe.fit_once(features, labels, len(self.labels), beat), {}, ())

    def training_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.loss(logits, targets)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, reduction="sum")

    def measure(self, logits: Tensor, split: TokenizedSplit) -> dict[str, float]:
        return {"f1": self._hits(logits, split).micro_f1()}

    def temperature(self, logits: Tensor, split: TokenizedSplit) -> float:
        return 1.0

    def blind(self, split: TokenizedSplit) -> Tensor:
        """No entity anywhere."""
        outside = torch.zeros(len(split.labels), len(self.labels))
        outside[:, self.labels.index("O")] = 1.0
        return outside

    def evaluate(
        self, logits: Tensor, probe_logits: Tensor, split: TokenizedSplit, seed: int, beat: Callable[[], None]
    ) -> dict[str, Any]:
        model, baseline = self._hits(logits, split), self._hits(probe_logits, split)
        (low, high), _ = model.intervals(seed, beat)
        return {
            "task": self.task.value,
            "labels": list(self._entities),
            "test": {
                "rows": len(split),
                "tokens": len(split.labels),
                "f1": {"value": model.micro_f1(), "low": low, "high": high},
                "precision": model.precision(),
                "recall": model.recall(),
                "per_entity": model.by_label(self._entities),
            },
            "probe": {"f1": baseline.micro_f1()},
            "promotion": _promotion(model.micro_f1(), baseline.micro_f1()),
        }

    def _hits(self, logits: Tensor, split: TokenizedSplit) -> Hits:
        guesses = logits.argmax(1).numpy()
        return hits(split.labels, guesses, split.label_starts, self.labels, self._entities)


def _promotion(f1: float, probe_f1: float) -> dict[str, Any]:
    """Whether a model beats its probe on the test split, and if not, why not."""
    reason = (
        f"It does not beat its probe: its F1 on the test split is {f1:.1%}, and that of the probe, a simple tagger on "
        f"the untrained base model, {probe_f1:.1%}. Add rows with the entities of the lowest F1, and train again."
    )
    return {"promotable": f1 > probe_f1, "reason": None if f1 > probe_f1 else reason}
