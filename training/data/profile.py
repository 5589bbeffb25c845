"""What a data set is like, in numbers: one pass over its rows, at most 53 bytes of memory for each of them.

No text is kept: 64 bits stand for each. Looking for equal ones takes up to 70 bytes a row more for a moment, so
that ten million rows, the most that a file may have, stay at about 1.2 GB.
"""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from core.catalogue import Task
from training.data.errors import DataError
from training.data.label_sets import LabelSets
from training.data.normalise import digest64, text_key
from training.data.splits import NO_SPLIT, SPLITS
from training.data.tokens import TokenCounter
from training.data.uploaded import Gap, UploadedRow

WITH_FREE_ANSWERS = frozenset({Task.TAGGING, Task.CHAT})
"""Tasks in which equal answers are not equal sets of labels."""


@dataclass(frozen=True)
class Profile:
    """Every row in numbers, in the file's order; arrays are as long as there are rows.

    numbers: rows in the file, from 1. gaps: what each lacks (Gap). texts: digest64 of each question. keys: text_key
    of each text, questions: of each question. answers: equal for equal answers. labels: positions in label_sets.
    splits: positions in SPLITS, NO_SPLIT where the file has none. characters, tokens: lengths; 0 where the text is
    empty. turns: messages of each conversation, without the system's; empty for other tasks.
    label_sets: positions in label_names, of the labels that a row has together. mentions: how often each label was
    met in complete rows. model_reads: the most tokens that the model reads.
    """

    task: Task
    numbers: npt.NDArray[np.uint32]
    gaps: npt.NDArray[np.int8]
    texts: npt.NDArray[np.uint64]
    keys: npt.NDArray[np.uint64]
    questions: npt.NDArray[np.uint64]
    answers: npt.NDArray[np.uint64] | npt.NDArray[np.uint32]
    labels: npt.NDArray[np.uint32]
    splits: npt.NDArray[np.int8]
    characters: npt.NDArray[np.uint32]
    tokens: npt.NDArray[np.uint32]
    turns: npt.NDArray[np.uint16]
    label_sets: LabelSets
    mentions: Mapping[str, int]
    model_reads: int

    @property
    def rows(self) -> int:
        return len(self.numbers)

    @property
    def label_names(self) -> Sequence[str]:
        return self.label_sets.names

    @property
    def has_own_split(self) -> bool:
        return bool((self.splits != NO_SPLIT).any())

    @cached_property
    def complete(self) -> npt.NDArray[np.int64]:
        """Positions of the rows that lack nothing."""
        return np.flatnonzero(self.gaps == Gap.NONE)

    @cached_property
    def kept(self) -> npt.NDArray[np.int64]:
        """Positions of the rows that an import keeps: of equal complete ones (question, answer, split) the first."""
        return self.complete[
            first_of_equal(self.texts[self.complete], self.answers[self.complete], self.splits[self.complete])
        ]

    @cached_property
    def label_counts(self) -> npt.NDArray[np.int64]:
        """The number of rows with each label that an import keeps."""
        return self.label_sets.count(self.labels[self.kept])


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
    """Takes rows of one task in batches and gives their Profile."""

    def __init__(self, tokens: TokenCounter, task: Task) -> None:
        self._tokens = tokens
        self._task = task
        self._numbers = array("I")
        self._gaps = array("b")
        self._texts = array("Q")
        self._keys = array("Q")
        self._questions = array("Q")
        self._answers = array("Q")
        self._labels = array("I")
        self._splits = array("b")
        self._characters = array("I")
        self._token_counts = array("I")
        self._turns = array("H")
        self._label_sets = LabelSets()
        self._mentions: Counter[str] = Counter()

    def add(self, rows: Sequence[UploadedRow]) -> None:
        """Take `rows` in. Raises DataError where the labels turn out to be no labels."""
        for row in rows:
            self._numbers.append(row.number)
            self._gaps.append(row.gap)
            self._texts.append(digest64(row.question))
            self._keys.append(text_key(row.text))
            self._labels.append(self._label_sets.add(row.mentions, row.number))
            self._splits.append(NO_SPLIT if row.split is None else SPLITS.index(row.split))
            self._characters.append(row.characters)
            if self._task in WITH_FREE_ANSWERS:
                self._answers.append(digest64(row.answer))
            if self._task is Task.CHAT:
                self._questions.append(text_key(row.question))
                self._turns.append(row.turns)
            if row.gap is Gap.NONE:
                self._mentions.update(row.mentions)
        self._token_counts.extend(self._tokens.count_rows(rows))

    def finish(self) -> Profile:
        """The profile of all the rows. Raises DataError where there were none."""
        if not self._numbers:
            raise DataError("The file has column names but no rows below them. Add rows and upload it again.")
        characters = np.frombuffer(self._characters, dtype=np.uint32)
        keys = np.frombuffer(self._keys, dtype=np.uint64)
        labels = np.frombuffer(self._labels, dtype=np.uint32)
        return Profile(
            task=self._task,
            numbers=np.frombuffer(self._numbers, dtype=np.uint32),
            gaps=np.frombuffer(self._gaps, dtype=np.int8),
            texts=np.frombuffer(self._texts, dtype=np.uint64),
            keys=keys,
            questions=np.frombuffer(self._questions, dtype=np.uint64) if self._questions else keys,
            answers=np.frombuffer(self._answers, dtype=np.uint64) if self._answers else labels,
            labels=labels,
            splits=np.frombuffer(self._splits, dtype=np.int8),
            characters=characters,
            tokens=np.where(characters > 0, np.frombuffer(self._token_counts, dtype=np.uint32), 0),
            turns=np.frombuffer(self._turns, dtype=np.uint16),
            label_sets=self._label_sets,
            mentions=self._mentions,
            model_reads=self._tokens.max_length,
        )
