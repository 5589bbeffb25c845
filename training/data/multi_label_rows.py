"""Uploaded rows for multi-label classification: a text and any number of labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.data.columns import SEPARATORS, ColumnMapping, Split
from training.data.errors import DataError
from training.data.normalise import clean_label, clean_text
from training.data.table import Table, cell
from training.data.uploaded import Gap, check_label, check_text, raw_fields

MAX_LABELS_OF_A_ROW = 100


@dataclass(frozen=True, slots=True)
class MultiLabeledRow:
    """See UploadedRow. The labels are different and sorted; a text to which none applies has none."""

    number: int
    text: str
    labels: tuple[str, ...]
    split: Split | None

    @property
    def gap(self) -> Gap:
        return Gap.NONE if self.text else Gap.TEXT

    @property
    def question(self) -> str:
        return self.text

    @property
    def answer(self) -> str:
        return "\n".join(self.labels)

    @property
    def shown(self) -> str:
        return ", ".join(self.labels)

    @property
    def mentions(self) -> tuple[str, ...]:
        return self.labels

    @property
    def characters(self) -> int:
        return len(self.text)

    @property
    def turns(self) -> int:
        return 0

    @property
    def pieces(self) -> tuple[tuple[str, ...], ...]:
        return ((self.text,),)

    def with_pieces(self, pieces: Sequence[tuple[str, ...]]) -> "MultiLabeledRow":
        return replace(self, text=pieces[0][0])

    def values(self) -> dict[str, Any]:
        return {"text": self.text, "labels": self.labels}


def read(table: Table, mapping: ColumnMapping) -> Iterator[MultiLabeledRow]:
    """The rows of `table`. Raises DataError at the first one that cannot be used."""
    column = mapping.label
    if column is None:
        raise DataError("Choose the column with the labels.")
    for number, split, text_value, labels_value, _ in raw_fields(table, mapping):
        text = clean_text(cell(text_value, mapping.text, number))
        check_text(len(text), number)
        written = _written(labels_value, column, mapping.separator, number)
        labels = sorted({label for label in map(clean_label, written) if label})
        if len(labels) > MAX_LABELS_OF_A_ROW:
            raise DataError(
                f"Row {number} has {len(labels):,} labels; {MAX_LABELS_OF_A_ROW} is the most. "
                f"Check that “{column}” is the column with the labels."
            )
        for label in labels:
            check_label(label, number, column)
        yield MultiLabeledRow(number, text, tuple(labels), split)


def _written(value: Any, column: str, separator: str | None, number: int) -> list[str]:
    """The labels as they are written: a list's values, or a text's parts."""
    if isinstance(value, list):
        return [cell(one, column, number) for one in value]
    text = cell(value, column, number)
    if not text.strip():
        return []
    if separator is None:
        raise DataError(
            f"Row {number} has no list of labels in “{column}”. Write a list, or say what separates the labels "
            f"({', '.join(SEPARATORS.values())})."
        )
    return text.split(separator)
