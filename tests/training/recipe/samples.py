"""Small data for the recipe's tests, and monitors that remember or stop."""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from training.recipe.data import ClassificationData, Example

BASE = get_base_model(DEFAULT_BASE_MODEL)
MESSAGES = Path(__file__).parents[3] / "examples" / "support_messages.csv"
SHORT = 50


def messages(
    labels: tuple[str, ...] = ("delivery_status", "account_access", "cancellation"),
    train: int = 8,
    validation: int = 2,
    test: int = 3,
) -> ClassificationData:
    """The first short messages of each label: so many in each split."""
    by_label: dict[str, list[Example]] = defaultdict(list)
    with MESSAGES.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            if len(row["text"]) <= SHORT:
                by_label[row["label"]].append(Example(row["text"], row["label"], number))
    ends = (0, train, train + validation, train + validation + test)
    splits = [
        [example for label in labels for example in by_label[label][start:end]]
        for start, end in pairwise(ends)
    ]
    return ClassificationData(labels, *splits)


@dataclass
class Memory:
    """A monitor that remembers everything. `stop_at`: the checkpoint, counted from 1, after which it is killed."""

    stop_at: int = 0
    phases: list[str] = field(default_factory=list)
    beats: list[tuple[float, int | None]] = field(default_factory=list)
    metrics: dict[tuple[str, int], float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    checkpoints: list[bytes] = field(default_factory=list)
    training_tokens: int | None = None

    def will_read(self, training_tokens: int) -> None:
        self.training_tokens = training_tokens

    def phase(self, status: Any, message: str) -> None:
        self.phases.append(status)

    def beat(self, progress: float, eta_seconds: int | None) -> None:
        self.beats.append((progress, eta_seconds))

    def metric(self, name: str, step: int, epoch: float, value: float) -> None:
        self.metrics[name, step] = value

    def log(self, message: str) -> None:
        self.lines.append(message)

    def save_checkpoint(self, data: bytes) -> None:
        self.checkpoints.append(data)
        if len(self.checkpoints) == self.stop_at:
            raise Killed


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""
