"""What a data set is like, in numbers: one pass over its rows, 33 bytes of memory for each of them.

No text is kept: 64 bits stand for each. Looking for equal ones takes up to 70 bytes a row more for a moment, so
that ten million rows, the most that a file may have, stay at about 1 GB.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.columns import LabeledRow
from training.data.errors import DataError
from training.data.normalise import digest64, text_key
from training.data.splits import NO_SPLIT, SPLITS
from training.data.tokens import TokenCounter

MAX_LABELS = 1000
NO_LABEL = 0xFFFF_FFFF


@dataclass(frozen=True)
class Profile:
    """Every row in numbers, in the file's order; arrays are as long as there are rows.

    numbers: rows in the file, from 1. texts: digest64 of each text. keys: text_key of each. labels: positions
    in label_names, NO_LABEL where there is none. splits: positions in SPLITS, NO_SPLIT where the file has none.
    characters, tokens: lengths; 0 where the text is empty. model_reads: the most tokens that the model reads.
    """

    numbers: npt.NDArray[np.uint32]
    texts: npt.NDArray[np.uint64]
    keys: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.uint32]
    splits: npt.NDArray[np.int8]
    characters: npt.NDArray[np.uint32]
    tokens: npt.NDArray[np.uint32]
    label_names: list[str]
    model_reads: int

    @property
    def rows(self) -> int:
        return len(self.numbers)

    @property
    def has_own_split(self) -> bool:
        return bool((self.splits != NO_SPLIT).any())

    @cached_property
    def complete(self) -> npt.NDArray[np.int64]:
        """Positions of the rows that have both a text and a label."""
        return np.flatnonzero((self.characters > 0) & (self.labels != NO_LABEL))

    @cached_property
    def kept(self) -> npt.NDArray[np.int64]:
        """Positions of the rows that an import keeps: of equal complete ones (text, label, split) the first."""
        return self.complete[
            first_of_equal(self.texts[self.complete], self.labels[self.complete], self.splits[self.complete])
        ]


def first_of_equal(*columns: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Positions, ascending, of the first of each set of rows that are equal in all of `columns`."""
    order = np.lexsort(columns)  # stable: equal rows stay in their order
    if not len(order):
        return order
    changes = np.zeros(len(order), dtype=bool)
    changes[0] = True
    for column in columns:
        sorted_column = column[order]
        changes[1:] |= sorted_column[1:] != sorted_column[:-1]
    return np.sort(order[changes])


class Profiler:
    """Takes rows in batches and gives their Profile."""

    def __init__(self, tokens: TokenCounter) -> None:
        self._tokens = tokens
        self._numbers = array("I")
        self._texts = array("Q")
        self._keys = array("Q")
        self._labels = array("I")
        self._splits = array("b")
        self._characters = array("I")
        self._token_counts = array("I")
        self._label_ids: dict[str, int] = {}

    def add(self, rows: Sequence[LabeledRow]) -> None:
        """Take `rows` in. Raises DataError where the labels turn out to be no labels."""
        for row in rows:
            self._numbers.append(row.number)
            self._texts.append(digest64(row.text))
            self._keys.append(text_key(row.text))
            self._labels.append(self._label_id(row) if row.label else NO_LABEL)
            self._splits.append(NO_SPLIT if row.split is None else SPLITS.index(row.split))
            self._characters.append(len(row.text))
        self._token_counts.extend(self._tokens.count([row.text for row in rows]))

    def _label_id(self, row: LabeledRow) -> int:
        label_id = self._label_ids.setdefault(row.label, len(self._label_ids))
        if label_id >= MAX_LABELS:
            raise DataError(
                f"Up to row {row.number} there are more than {MAX_LABELS:,} different labels. "
                "Check that you chose the column with the labels, and not one with texts or ids."
            )
        return label_id

    def finish(self) -> Profile:
        """The profile of all the rows. Raises DataError where there were none."""
        if not self._numbers:
            raise DataError("The file has column names but no rows below them. Add rows and upload it again.")
        characters = np.frombuffer(self._characters, dtype=np.uint32)
        return Profile(
            numbers=np.frombuffer(self._numbers, dtype=np.uint32),
            texts=np.frombuffer(self._texts, dtype=np.uint64),
            keys=np.frombuffer(self._keys, dtype=np.uint64),
            labels=np.frombuffer(self._labels, dtype=np.uint32),
            splits=np.frombuffer(self._splits, dtype=np.int8),
            characters=characters,
            tokens=np.where(characters > 0, np.frombuffer(self._token_counts, dtype=np.uint32), 0),
            label_names=list(self._label_ids),
            model_reads=self._tokens.max_length,
        )
