"""Uploaded rows for classification: a text and its one label."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from training.data.columns import ColumnMapping, Split, read_split
from training.data.errors import DataError
from training.data.normalise import clean_label, clean_text
from training.data.table import Table
from training.data.uploaded import Gap, check_label, check_number, check_text


class LabeledRow(NamedTuple):
    """See UploadedRow. An empty text or label is empty here too; what becomes of such a row is decided elsewhere."""

    number: int
    text: str
    label: str
    split: Split | None

    @property
    def gap(self) -> Gap:
        if not self.text:
            return Gap.TEXT
        return Gap.NONE if self.label else Gap.ANSWER

    @property
    def question(self) -> str:
        return self.text

    @property
    def answer(self) -> str:
        return self.label

    @property
    def shown(self) -> str:
        return self.label

    @property
    def mentions(self) -> tuple[str, ...]:
        return (self.label,) if self.label else ()

    @property
    def characters(self) -> int:
        return len(self.text)

    @property
    def turns(self) -> int:
        return 0

    @property
    def pieces(self) -> tuple[tuple[str, ...], ...]:
        return ((self.text,),)

    def with_pieces(self, pieces: Sequence[tuple[str, ...]]) -> "LabeledRow":
        return self._replace(text=pieces[0][0])

    def values(self) -> dict[str, Any]:
        return {"text": self.text, "label": self.label}


def read(table: Table, mapping: ColumnMapping) -> Iterator[LabeledRow]:
    """The rows of `table`. Raises DataError at the first one that cannot be used."""
    if mapping.label is None:
        raise DataError("Choose the column with the labels.")
    for number, values in table.records(mapping.columns):
        check_number(number)
        text, label = clean_text(values[0]), clean_label(values[1])
        check_text(len(text), number)
        check_label(label, number, mapping.label)
        yield LabeledRow(number, text, label, read_split(values[2], number) if mapping.split else None)
