"""Multi-label classification: any number of labels for a text, each decided by itself."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.catalogue import Task
from training.recipe.data import MultiLabelExample
from training.recipe.multi_label.evaluation import evaluate, macro_f1, micro_f1, promotion
from training.recipe.multi_label.probe import fit
from training.recipe.objective import FittedHead
from training.recipe.probe import MAX_ROWS
from training.recipe.tokens import Indexes, TextTokenizer, TokenizedSplit, labeled_rows


class MultiLabel:
    """See training.recipe.objective.Objective. A label is chosen at a score of 0.5, which is a logit of 0."""

    task = Task.MULTI_LABEL

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def tokenize(
        self, tokenizer: TextTokenizer, examples: Sequence[MultiLabelExample], beat: Callable[[int], None]
    ) -> TokenizedSplit:
        position = {label: index for index, label in enumerate(self.labels)}
        labels = np.zeros((len(examples), len(self.labels)), dtype=np.float32)
        for row, example in enumerate(examples):
            labels[row, [position[label] for label in example.labels]] = 1.0
        return labeled_rows(
            tokenizer.tokenize((example.text for example in examples), beat),
            (example.row for example in examples),
            labels,
        )

    def text(self, example: MultiLabelExample) -> str:
        return example.text

    def probe_rows(self, split: TokenizedSplit, seed: int) -> Indexes:
        return np.sort(np.random.default_rng(seed).permutation(len(split))[:MAX_ROWS])

    def fit_probe(
        self, features: Tensor, split: TokenizedSplit, rows: Indexes, beat: Callable[[int], None]
    ) -> FittedHead:
        return FittedHead(fit(features, torch.from_numpy(split.labels[rows]), beat), {}, ())

    def training_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.loss(logits, targets)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Summed up over the rows, the mean over the labels."""
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(self.labels)

    def measure(self, logits: Tensor, split: TokenizedSplit) -> dict[str, float]:
        return {"macro_f1": macro_f1(split.labels > 0.5, _chosen(logits))}

    def temperature(self, logits: Tensor, split: TokenizedSplit) -> float:
        return 1.0

    def blind(self, split: TokenizedSplit) -> Tensor:
        """Every label: whatever a label's share is, its F1 is higher than that of never."""
        return torch.ones(split.labels.shape)

    def evaluate(
        self, logits: Tensor, probe_logits: Tensor, split: TokenizedSplit, seed: int, beat: Callable[[], None]
    ) -> dict[str, Any]:
        truth, chosen, probe_chosen = split.labels > 0.5, _chosen(logits), _chosen(probe_logits)
        return {
            "task": self.task.value,
            "labels": list(self.labels),
            "test": evaluate(truth, chosen, self.labels, seed, beat),
            "probe": {"micro_f1": micro_f1(truth, probe_chosen), "macro_f1": macro_f1(truth, probe_chosen)},
            "promotion": promotion(truth, chosen, probe_chosen),
        }


def _chosen(logits: Tensor) -> Any:
    return (logits >= 0).numpy()
