"""The labels of a data set, and which of them rows have together."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from training.data.errors import DataError

MAX_LABELS = 1000
MAX_SETS = 100_000


class LabelSets:
    """Gives each set of labels a number, so that four bytes a row say which labels it has."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._sets: dict[tuple[int, ...], int] = {}

    def add(self, labels: Collection[str], number: int) -> int:
        """The number of the set of row `number`. Raises DataError where the labels turn out to be none."""
        ids = tuple(sorted({self._ids.setdefault(label, len(self._ids)) for label in labels}))
        if len(self._ids) > MAX_LABELS:
            raise DataError(
                f"Up to row {number} there are more than {MAX_LABELS:,} different labels. "
                "Check that you chose the column with the labels, and not one with texts or ids."
            )
        found = self._sets.setdefault(ids, len(self._sets))
        if found >= MAX_SETS:
            raise DataError(
                f"Up to row {number} there are more than {MAX_SETS:,} different sets of labels. "
                "Upload a part of the rows, or leave out labels that are rare."
            )
        return found

    @property
    def names(self) -> list[str]:
        """The labels, in the order in which they were met."""
        return list(self._ids)

    def count(self, sets: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """The number of rows with each label, in the order of `names`; `sets` is the number of each row's set."""
        rows = np.bincount(sets, minlength=len(self._sets))
        counts = np.zeros(len(self._ids), dtype=np.int64)
        for labels, number in self._sets.items():
            for label in labels:
                counts[label] += rows[number]
        return counts

    def has(self, sets: npt.NDArray[np.uint32], label: int) -> npt.NDArray[np.bool_]:
        """Which rows have the label that is at position `label` of `names`."""
        with_label = np.fromiter((label in labels for labels in self._sets), dtype=np.bool_)
        found: npt.NDArray[np.bool_] = with_label[sets]
        return found

    def is_empty(self, sets: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Which rows have no label."""
        none: npt.NDArray[np.bool_] = sets == self._sets.get((), -1)
        return none

    def strata(self, sets: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.uint32], list[str]]:
        """By which label each row is divided into splits, as a position in the names beside it.

        It is the rarest of the row's labels, the first by name on a tie, so that a rare one is in every split
        that it can be in; rows without a label are divided as if that were one.
        """
        names = self.names
        counts = self.count(sets)
        rank = {label: (int(counts[label]), names[label]) for label in range(len(names))}
        rarest = np.full(len(self._sets), len(names), dtype=np.uint32)
        for labels, number in self._sets.items():
            if labels:
                rarest[number] = min(labels, key=rank.__getitem__)
        strata: npt.NDArray[np.uint32] = rarest[sets]
        return strata, [*names, ""]
