"""How good predictions are, and how sure that is."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.recipe.tokens import Indexes

Floats = npt.NDArray[np.float64]

CALIBRATION_BINS = 15
RESAMPLES = 1000
_Z = 1.959963984540054  # of a 95 % interval
_RESAMPLED_CELLS = 4_000_000


def confusion_matrix(truth: Indexes, guesses: Indexes, label_count: int) -> Indexes:
    """[labels, labels]: rows of each true label (first axis) that were called each label."""
    counts = np.bincount(truth * label_count + guesses, minlength=label_count**2)
    return counts.reshape(label_count, label_count)


def accuracy(confusion: Indexes) -> float:
    return float(confusion.trace() / confusion.sum())


def macro_f1(confusion: Indexes) -> float:
    """The mean F1 of the labels that occur, in truth or as a guess, each counting the same."""
    right, support, guessed = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    return _mean_f1(right, support + guessed)


def evaluate(
    probabilities: Floats, truth: Indexes, labels: Sequence[str], seed: int, beat: Callable[[], None]
) -> dict[str, Any]:
    """Everything that is told of the test split.

    probabilities: [rows, labels]; seed: of the bootstrap; beat: called every now and then.
    """
    guesses = probabilities.argmax(1)
    confusion = confusion_matrix(truth, guesses, len(labels))
    low, high = wilson_interval(int(confusion.trace()), len(truth))
    f1_low, f1_high = bootstrap_interval(truth, guesses, len(labels), seed, beat)
    return {
        "rows": len(truth),
        "accuracy": {"value": accuracy(confusion), "low": low, "high": high},
        "macro_f1": {"value": macro_f1(confusion), "low": f1_low, "high": f1_high},
        "calibration_error": calibration_error(probabilities, truth),
        "per_class": per_class(confusion, labels),
        "confusion": confusion.tolist(),
    }


def per_class(confusion: Indexes, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each label, 0 where there is nothing to divide by; `support` counts its rows."""
    rows = []
    for index, label in enumerate(labels):
        right, support, guessed = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
        rows.append(
            {
                "label": label,
                "precision": _share(right, guessed),
                "recall": _share(right, support),
                "f1": _share(2 * right, support + guessed),
                "support": int(support),
            }
        )
    return rows


def wilson_interval(right: int, rows: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, `right` of `rows` (Wilson 1927)."""
    share = right / rows
    centre = share + _Z**2 / (2 * rows)
    spread = _Z * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    scale = 1 + _Z**2 / rows
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def bootstrap_interval(
    truth: Indexes, guesses: Indexes, label_count: int, seed: int, beat: Callable[[], None]
) -> tuple[float, float]:
    """The 95 % confidence interval of macro F1, by resampling rows (percentile bootstrap: Efron 1979)."""
    random = np.random.default_rng(seed)
    right = np.where(truth == guesses, truth, label_count)
    resamples = max(100, min(RESAMPLES, _RESAMPLED_CELLS // len(truth)))
    values = np.empty(resamples)
    for index in range(resamples):
        beat()
        rows = random.integers(len(truth), size=len(truth))
        hits = np.bincount(right[rows], minlength=label_count + 1)[:label_count]
        total = np.bincount(truth[rows], minlength=label_count) + np.bincount(
            guesses[rows], minlength=label_count
        )
        values[index] = _mean_f1(hits, total)
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def calibration_error(probabilities: Floats, truth: Indexes) -> float:
    """By how much confidence and accuracy differ on average: the expected calibration error (Guo et al. 2017)."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(truth))


def promotion(model: Indexes, probe: Indexes) -> dict[str, Any]:
    """Whether a model beats its probe on the test split, by their confusion matrices, and if not, why not.

    It has to be right more often. Where both are right equally often the higher macro F1 decides: the model is then
    better at rare labels. An equal one is no gain that would be worth a model of its own.
    """
    ours, baseline = accuracy(model), accuracy(probe)
    beats = ours > baseline or (ours == baseline and macro_f1(model) > macro_f1(probe))
    rows = int(model.sum())
    reason = (
        f"It does not beat its probe: of {rows:,} test rows it is right on {int(model.trace()):,} ({ours:.1%}), and "
        f"the probe, a simple classifier on the untrained base model, on {int(probe.trace()):,} ({baseline:.1%}). "
        "Check the suspected labels, add rows to the labels with the lowest F1, and train again."
    )
    return {"promotable": beats, "reason": None if beats else reason}


def _mean_f1(right: Indexes, support_and_guessed: Indexes) -> float:
    occurs = support_and_guessed > 0
    return float((2 * right[occurs] / support_and_guessed[occurs]).mean())


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
