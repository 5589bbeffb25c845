"""A stored evaluation, read for a page: what a job found out about its adapter, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

LARGEST_MATRIX = 40
"""Labels, above which a matrix of all of them is too large to read, and to send."""

SMALL_MATRIX = 12
"""Labels, up to which a matrix is read at a glance, so that it is shown at once."""


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
class Confusion:
    """`count` test rows of `truth`, which has `total`, that the model called `guess`."""

    truth: str
    guess: str
    count: int
    total: int


@dataclass(frozen=True)
class Suspect:
    """A row whose label looks wrong: `row` counts the source file's data rows from 1."""

    row: int
    label: str
    suggested: str
    confidence: float


@dataclass(frozen=True)
class Evaluation:
    """What the test split said, once. `matrix` has a row for each true label, a column for each predicted one."""

    rows: int
    accuracy: Estimate
    macro_f1: Estimate
    calibration_error: float
    probe_accuracy: float | None
    probe_macro_f1: float | None
    classes: Sequence[ClassRow]
    labels: Sequence[str]
    matrix: Sequence[Sequence[int]]
    suspects: Sequence[Suspect]
    obstacle: str | None

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """Read `FineTuneJob.evaluation` or `Adapter.evaluation`; None where there is none yet."""
        if not stored or "test" not in stored:
            return None
        test, probe = stored["test"], stored.get("probe") or {}
        return cls(
            rows=test["rows"],
            accuracy=Estimate(**test["accuracy"]),
            macro_f1=Estimate(**test["macro_f1"]),
            calibration_error=test["calibration_error"],
            probe_accuracy=probe.get("accuracy"),
            probe_macro_f1=probe.get("macro_f1"),
            classes=[ClassRow(**row) for row in test["per_class"]],
            labels=stored["labels"],
            matrix=test["confusion"],
            suspects=[
                Suspect(row["row"], row["label"], row["suggested"], row["confidence"])
                for row in stored.get("label_errors", ())
            ],
            obstacle=(stored.get("promotion") or {}).get("reason"),
        )

    @property
    def gain(self) -> float | None:
        """How much more accurate than the probe, in shares of one; negative where it is less."""
        return None if self.probe_accuracy is None else self.accuracy.value - self.probe_accuracy

    @property
    def mistakes(self) -> int:
        """Test rows that were labeled wrong."""
        return sum(confusion.count for confusion in self._confusions())

    @property
    def worst_confusions(self) -> Sequence[Confusion]:
        """The pairs of labels that were taken for each other most often, the worst first."""
        shown = 5 if self.has_small_matrix else 15
        return sorted(self._confusions(), key=lambda one: (-one.count, one.truth, one.guess))[:shown]

    @property
    def has_small_matrix(self) -> bool:
        return len(self.labels) <= SMALL_MATRIX

    @property
    def has_readable_matrix(self) -> bool:
        return len(self.labels) <= LARGEST_MATRIX

    def _confusions(self) -> list[Confusion]:
        return [
            Confusion(truth, guess, count, sum(counts))
            for truth, counts in zip(self.labels, self.matrix, strict=True)
            for guess, count in zip(self.labels, counts, strict=True)
            if count and truth != guess
        ]
