"""F1 from counts, for labels and for entities alike, with its interval by resampling rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

RESAMPLES = 1000
_RESAMPLED_CELLS = 40_000_000


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found, there and right in each row, by label: three counts [rows, labels]."""

    found: Counts
    there: Counts
    right: Counts

    def micro_f1(self) -> float:
        """F1 of all decisions together; 0 where nothing was there or found."""
        return _f1(self.right.sum(), (self.found + self.there).sum())

    def macro_f1(self) -> float:
        """The mean F1 of the labels that were there or found, each counting the same; 0 where there are none."""
        return _macro_f1(self.right.sum(0), (self.found + self.there).sum(0))

    def precision(self) -> float:
        return _share(self.right.sum(), self.found.sum())

    def recall(self) -> float:
        return _share(self.right.sum(), self.there.sum())

    def by_label(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Precision, recall and F1 of each label, 0 where there is nothing to divide by; `support`: how often it is
        there."""
        found, there, right = self.found.sum(0), self.there.sum(0), self.right.sum(0)
        return [
            {
                "label": label,
                "precision": _share(right[index], found[index]),
                "recall": _share(right[index], there[index]),
                "f1": _f1(right[index], found[index] + there[index]),
                "support": int(there[index]),
            }
            for index, label in enumerate(labels)
        ]

    def intervals(
        self, seed: int, beat: Callable[[], None]
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """The 95 % confidence intervals of micro and macro F1 (percentile bootstrap over rows: Efron 1979)."""
        random = np.random.default_rng(seed)
        rows, labels = self.right.shape
        # Rows that are alike for F1, such as those without entities, are drawn all the same: they are rows.
        counts = np.stack([self.right, self.found + self.there]).astype(np.float64)
        resamples = max(100, min(RESAMPLES, _RESAMPLED_CELLS // max(1, rows * labels)))
        micro, macro = np.empty(resamples), np.empty(resamples)
        for index in range(resamples):
            beat()
            drawn = np.bincount(random.integers(rows, size=rows), minlength=rows).astype(np.float64)
            right, total = np.einsum("r,crl->cl", drawn, counts)
            micro[index], macro[index] = _f1(right.sum(), total.sum()), _macro_f1(right, total)
        return _interval(micro), _interval(macro)


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _macro_f1(right: npt.NDArray[Any], found_and_there: npt.NDArray[Any]) -> float:
    occurs = found_and_there > 0
    return float((2 * right[occurs] / found_and_there[occurs]).mean()) if occurs.any() else 0.0


def _f1(right: float, found_and_there: float) -> float:
    return float(2 * right / found_and_there) if found_and_there else 0.0


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
