"""The labeled texts that a fine-tune reads."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A text as the model is to read it (its personal data generalised), its label, and its row in the file."""

    text: str
    label: str
    row: int


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All of a dataset version's rows by split.

    `labels` are all different, and every example's label is one of them; their order is that of the scores.
    Each split is read from its beginning to its end a few times, so it need not hold its examples in memory.
    """

    labels: tuple[str, ...]
    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
