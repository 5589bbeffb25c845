"""A stored evaluation, read for a page: what a job found out about its adapter, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.catalogue import Task

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
class Figure:
    """What one result is called, and its value: a share of one, or for a loss a plain number.

    `low` and `high` are the ends of its 95 % confidence interval, where one was measured.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    is_share: bool = True

    @classmethod
    def of(cls, name: str, estimate: Estimate) -> "Figure":
        return cls(name, estimate.value, estimate.low, estimate.high)


@dataclass(frozen=True)
class Sample:
    """A held-out question, the answer that stands in the data, the model's, and its base model's."""

    row: int
    prompt: str
    expected: str
    answer: str
    base_answer: str


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
class Classification:
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
    task: Task = Task.CLASSIFICATION

    @property
    def figures(self) -> Sequence[Figure]:
        return (
            Figure.of("Accuracy", self.accuracy),
            Figure.of("Macro F1", self.macro_f1),
            Figure("Probe", self.probe_accuracy),
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


@dataclass(frozen=True)
class MultiLabel:
    """What the test split said of a model that gives any number of labels."""

    rows: int
    micro_f1: Estimate
    macro_f1: Estimate
    exact_match: float
    probe_micro_f1: float | None
    classes: Sequence[ClassRow]
    obstacle: str | None
    task: Task = Task.MULTI_LABEL

    @property
    def figures(self) -> Sequence[Figure]:
        return (
            Figure.of("Micro F1", self.micro_f1),
            Figure.of("Macro F1", self.macro_f1),
            Figure("Probe", self.probe_micro_f1),
        )


@dataclass(frozen=True)
class Tagging:
    """What the test split said of a model that finds entities; an entity counts only as a whole."""

    rows: int
    tokens: int
    f1: Estimate
    precision: float
    recall: float
    probe_f1: float | None
    classes: Sequence[ClassRow]
    obstacle: str | None
    task: Task = Task.TAGGING

    @property
    def figures(self) -> Sequence[Figure]:
        return (
            Figure.of("F1", self.f1),
            Figure("Precision", self.precision),
            Figure("Recall", self.recall),
            Figure("Probe", self.probe_f1),
        )


@dataclass(frozen=True)
class Chat:
    """What the test split said of a chat model: how little the held-out answers surprise it, and some of its own."""

    rows: int
    tokens: int
    loss: float
    perplexity: float
    base_loss: float
    base_perplexity: float
    samples: Sequence[Sample]
    obstacle: str | None
    classes: Sequence[ClassRow] = ()
    task: Task = Task.CHAT

    @property
    def figures(self) -> Sequence[Figure]:
        return (
            Figure("Loss", self.loss, is_share=False),
            Figure("Perplexity", self.perplexity, is_share=False),
            Figure("Base's loss", self.base_loss, is_share=False),
        )


Evaluation = Classification | MultiLabel | Tagging | Chat

FIGURES = {
    Task.CLASSIFICATION: ("Accuracy", "Macro F1", "Probe"),
    Task.MULTI_LABEL: ("Micro F1", "Macro F1", "Probe"),
    Task.TAGGING: ("F1", "Precision", "Recall", "Probe"),
    Task.CHAT: ("Loss", "Perplexity", "Base's loss"),
}
"""What the figures of a task's evaluations are called, the one that is looked at first before the others."""


def read(stored: Mapping[str, Any] | None) -> Evaluation | None:
    """What `FineTuneJob.evaluation` or `Adapter.evaluation` says; None where there is none yet."""
    if not stored or "test" not in stored:
        return None
    test, probe = stored["test"], stored.get("probe") or {}
    obstacle = (stored.get("promotion") or {}).get("reason")
    match Task(stored.get("task", Task.CLASSIFICATION)):
        case Task.CLASSIFICATION:
            return _classification(stored, test, probe, obstacle)
        case Task.MULTI_LABEL:
            return MultiLabel(
                rows=test["rows"],
                micro_f1=Estimate(**test["micro_f1"]),
                macro_f1=Estimate(**test["macro_f1"]),
                exact_match=test["exact_match"],
                probe_micro_f1=probe.get("micro_f1"),
                classes=_class_rows(test["per_class"]),
                obstacle=obstacle,
            )
        case Task.TAGGING:
            return Tagging(
                rows=test["rows"],
                tokens=test["tokens"],
                f1=Estimate(**test["f1"]),
                precision=test["precision"],
                recall=test["recall"],
                probe_f1=probe.get("f1"),
                classes=_class_rows(test["per_entity"]),
                obstacle=obstacle,
            )
        case Task.CHAT:
            return Chat(
                rows=test["rows"],
                tokens=test["tokens"],
                loss=test["loss"],
                perplexity=test["perplexity"],
                base_loss=test["base_loss"],
                base_perplexity=test["base_perplexity"],
                samples=[
                    Sample(one["row"], one["prompt"], one["expected"], one["answer"], one["base_answer"])
                    for one in stored.get("samples", ())
                ],
                obstacle=obstacle,
            )


def _classification(
    stored: Mapping[str, Any], test: Mapping[str, Any], probe: Mapping[str, Any], obstacle: str | None
) -> Classification:
    return Classification(
        rows=test["rows"],
        accuracy=Estimate(**test["accuracy"]),
        macro_f1=Estimate(**test["macro_f1"]),
        calibration_error=test["calibration_error"],
        probe_accuracy=probe.get("accuracy"),
        probe_macro_f1=probe.get("macro_f1"),
        classes=_class_rows(test["per_class"]),
        labels=stored["labels"],
        matrix=test["confusion"],
        suspects=[
            Suspect(row["row"], row["label"], row["suggested"], row["confidence"])
            for row in stored.get("label_errors", ())
        ],
        obstacle=obstacle,
    )


def _class_rows(stored: Sequence[Mapping[str, Any]]) -> Sequence[ClassRow]:
    return [
        ClassRow(row["label"], row["precision"], row["recall"], row["f1"], row["support"]) for row in stored
    ]
