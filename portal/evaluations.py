"""A stored evaluation, read for a page: what a job found out about its adapter, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Estimate:
    """A figure from a sample, with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassRow:
    """How well one label is told from the others; `support` counts its test rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Cell:
    """A field of the confusion matrix: test rows of `truth` that the model called `guess`.

    `shade` is the share of the truth's rows in tenths, 0 to 10: the darkness of the field.
    """

    truth: str
    guess: str
    count: int
    shade: int

    @property
    def is_right(self) -> bool:
        return self.truth == self.guess


@dataclass(frozen=True)
class Suspect:
    """A row whose label looks wrong: `row` counts the source file's data rows from 1."""

    row: int
    label: str
    suggested: str
    confidence: float
    text: str | None


@dataclass(frozen=True)
class Evaluation:
    """What the test split said, once."""

    rows: int
    accuracy: Estimate
    macro_f1: Estimate
    calibration_error: float
    probe_accuracy: float | None
    probe_macro_f1: float | None
    classes: Sequence[ClassRow]
    labels: Sequence[str]
    confusion: Sequence[Sequence[Cell]]
    suspects: Sequence[Suspect]
    obstacle: str | None

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """Read `FineTuneJob.evaluation` or `Adapter.evaluation`; None where there is none yet."""
        if not stored or "test" not in stored:
            return None
        test, probe, labels = stored["test"], stored.get("probe") or {}, stored["labels"]
        return cls(
            rows=test["rows"],
            accuracy=Estimate(**test["accuracy"]),
            macro_f1=Estimate(**test["macro_f1"]),
            calibration_error=test["calibration_error"],
            probe_accuracy=probe.get("accuracy"),
            probe_macro_f1=probe.get("macro_f1"),
            classes=[ClassRow(**row) for row in test["per_class"]],
            labels=labels,
            confusion=[
                _row(truth, labels, counts) for truth, counts in zip(labels, test["confusion"], strict=True)
            ],
            suspects=[
                Suspect(row["row"], row["label"], row["suggested"], row["confidence"], row.get("text"))
                for row in stored.get("label_errors", ())
            ],
            obstacle=(stored.get("promotion") or {}).get("reason"),
        )

    @property
    def gain(self) -> float | None:
        """How much more accurate than the probe, in shares of one; negative where it is less."""
        return None if self.probe_accuracy is None else self.accuracy.value - self.probe_accuracy


def _row(truth: str, labels: Sequence[str], counts: Sequence[int]) -> list[Cell]:
    total = sum(counts) or 1
    return [
        Cell(truth, guess, count, round(10 * count / total))
        for guess, count in zip(labels, counts, strict=True)
    ]
