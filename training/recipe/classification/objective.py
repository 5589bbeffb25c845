"""Classification: one label for a text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.catalogue import Task
from training.recipe import probe
from training.recipe.classification.calibration import MIN_CALIBRATION_ROWS, find_temperature
from training.recipe.classification.evaluation import (
    accuracy,
    confusion_matrix,
    evaluate,
    macro_f1,
    promotion,
)
from training.recipe.classification.label_errors import find_label_errors
from training.recipe.data import Example
from training.recipe.objective import FittedHead
from training.recipe.schedule import LABEL_SMOOTHING
from training.recipe.tokens import Indexes, TextTokenizer, TokenizedSplit, labeled_rows
from training.recipe.words import count


class Classification:
    """See training.recipe.objective.Objective. Weights are chosen by macro F1: the loss counts how sure the model is,
    which smoothed labels push down, and would choose too early."""

    task = Task.CLASSIFICATION

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def tokenize(
        self, tokenizer: TextTokenizer, examples: Sequence[Example], beat: Callable[[int], None]
    ) -> TokenizedSplit:
        position = {label: index for index, label in enumerate(self.labels)}
        return labeled_rows(
            tokenizer.tokenize((example.text for example in examples), beat),
            (example.row for example in examples),
            np.fromiter((position[example.label] for example in examples), dtype=np.int64),
        )

    def text(self, example: Example) -> str:
        return example.text

    def probe_rows(self, split: TokenizedSplit, seed: int) -> Indexes:
        return probe.sample(split.labels, seed)

    def fit_probe(
        self, features: Tensor, split: TokenizedSplit, rows: Indexes, beat: Callable[[int], None]
    ) -> FittedHead:
        labels = split.labels[rows]
        fitted = probe.fit(features, labels, len(self.labels), beat)
        errors = find_label_errors(fitted.held_out, labels, split.rows[rows], self.labels)
        right = float((fitted.held_out.argmax(1).numpy() == labels).mean())
        return FittedHead(
            fitted.probe,
            {"label_errors": errors},
            (
                f"The probe is right on {right:.1%} of training texts that were held out from it.",
                f"{count(len(errors), 'label')} may be wrong.",
            ),
        )

    def training_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING, reduction="sum")

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, reduction="sum")

    def measure(self, logits: Tensor, split: TokenizedSplit) -> dict[str, float]:
        confusion = confusion_matrix(split.labels, logits.argmax(1).numpy(), len(self.labels))
        return {"accuracy": accuracy(confusion), "macro_f1": macro_f1(confusion)}

    def temperature(self, logits: Tensor, split: TokenizedSplit) -> float:
        return find_temperature(logits, split.labels) if len(split) >= MIN_CALIBRATION_ROWS else 1.0

    def blind(self, split: TokenizedSplit) -> Tensor:
        counts = torch.bincount(torch.from_numpy(split.labels), minlength=len(self.labels))
        return counts.float().expand(len(split), -1)

    def evaluate(
        self, logits: Tensor, probe_logits: Tensor, split: TokenizedSplit, seed: int, beat: Callable[[], None]
    ) -> dict[str, Any]:
        probabilities = torch.softmax(logits.double(), dim=1).numpy()
        confusion = confusion_matrix(split.labels, logits.argmax(1).numpy(), len(self.labels))
        baseline = confusion_matrix(split.labels, probe_logits.argmax(1).numpy(), len(self.labels))
        return {
            "labels": list(self.labels),
            "test": evaluate(probabilities, split.labels, self.labels, seed, beat),
            "probe": {"accuracy": accuracy(baseline), "macro_f1": macro_f1(baseline)},
            "promotion": promotion(confusion, baseline),
        }
