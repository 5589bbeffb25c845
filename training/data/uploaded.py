"""The rows of an upload, whatever their task: what of each is compared, counted, searched and stored."""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, Protocol, Self

from training.data.columns import ColumnMapping, Split, read_split
from training.data.errors import DataError
from training.data.table import Table, cell

MAX_TEXT_CHARACTERS = 100_000
MAX_LABEL_CHARACTERS = 100
MAX_ROWS = 10_000_000


class Gap(IntEnum):
    """What a row lacks, for which it is left out."""

    NONE = 0
    TEXT = 1
    ANSWER = 2


class UploadedRow(Protocol):
    """One row, cleaned: `number` counts from 1, which is the first row below the header."""

    @property
    def number(self) -> int: ...

    @property
    def split(self) -> Split | None: ...

    @property
    def gap(self) -> Gap: ...

    @property
    def text(self) -> str:
        """What the model is given to answer (of a conversation: what its user says). Equal ones stay in one split."""
        ...

    @property
    def question(self) -> str:
        """All that the answer depends on: `text` and, in a conversation, what the system says."""
        ...

    @property
    def answer(self) -> str:
        """What the model is to give back, as one string."""
        ...

    @property
    def shown(self) -> str:
        """The answer as examples show it; empty where it holds what the tenant wrote freely."""
        ...

    @property
    def mentions(self) -> tuple[str, ...]:
        """The labels, or the type of each entity, by which rows are counted and split."""
        ...

    @property
    def characters(self) -> int: ...

    @property
    def turns(self) -> int:
        """How many messages of a user and an assistant there are; 0 where it is no conversation."""
        ...

    @property
    def pieces(self) -> tuple[tuple[str, ...], ...]:
        """The texts in which personal data is looked for, each as the words (one, if need be) that must stay apart."""
        ...

    def with_pieces(self, pieces: Sequence[tuple[str, ...]]) -> Self:
        """The row with other words in the same places."""
        ...

    def values(self) -> dict[str, Any]:
        """What is stored of it, besides its split and its number."""
        ...


def raw_fields(
    table: Table, mapping: ColumnMapping, optional: Sequence[str] = ()
) -> Iterator[tuple[int, Split | None, Any, Any, tuple[Any, ...]]]:
    """(number, split, text, label, optional ones) of every row, as they are in the file. Raises DataError."""
    for number, values in table.values(mapping.columns, optional):
        check_number(number)
        given = dict(zip(mapping.columns, values, strict=False))
        split = (
            read_split(cell(given[mapping.split], mapping.split, number), number) if mapping.split else None
        )
        label = given[mapping.label] if mapping.label is not None else None
        yield number, split, given[mapping.text], label, values[len(mapping.columns) :]


def check_number(number: int) -> None:
    """Raises DataError where the file has too many rows."""
    if number > MAX_ROWS:
        raise DataError(f"The file has more than {MAX_ROWS:,} rows. Upload a part of them.")


def check_text(characters: int, number: int, noun: str = "text") -> None:
    """Raises DataError where a row's text is too long to be kept."""
    if characters > MAX_TEXT_CHARACTERS:
        raise DataError(
            f"Row {number} has a {noun} of {characters:,} characters; {MAX_TEXT_CHARACTERS:,} is the most. "
            "Split it into several rows."
        )


def check_label(label: str, number: int, column: str) -> None:
    """Raises DataError where a label is too long to be one."""
    if len(label) > MAX_LABEL_CHARACTERS:
        raise DataError(
            f"Row {number} has a label of {len(label):,} characters; {MAX_LABEL_CHARACTERS} is the most. "
            f"Check that “{column}” is the column with the labels."
        )
