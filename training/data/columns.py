"""Which columns hold the text, the label and the split, and the rows that they make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from training.data.errors import DataError
from training.data.normalise import clean_label, clean_text
from training.data.table import Table

MAX_TEXT_CHARACTERS = 100_000
MAX_LABEL_CHARACTERS = 100
MAX_ROWS = 10_000_000

_TEXT_NAMES = (
    "text sentence message question review comment content utterance query tweet description document body "
    "input email ticket title subject"
).split()
_LABEL_NAMES = "label category intent class topic sentiment tag target output label_text y".split()
_SPLIT_NAMES = ("split", "fold", "partition", "subset", "set")


class Split(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


_SPLIT_VALUES = {
    **dict.fromkeys(("train", "training", "tr"), Split.TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), Split.VALIDATION),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "heldout", "holdout", "held-out"), Split.TEST),
}


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The columns that hold the text, the label and, where the file has its own split, the split."""

    text: str
    label: str
    split: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ColumnMapping":
        return cls(value["text"], value["label"], value.get("split"))


class LabeledRow(NamedTuple):
    """One row: its number in the file (1 = the first below the header), its text and label, cleaned, and its split.

    An empty text or label is empty here too; what becomes of such a row is not decided by the reader.
    """

    number: int
    text: str
    label: str
    split: Split | None


def labeled_rows(table: Table, mapping: ColumnMapping) -> Iterator[LabeledRow]:
    """The rows of `table` as `mapping` says. Raises DataError at the first row that cannot be used."""
    columns = [mapping.text, mapping.label, *([mapping.split] if mapping.split else [])]
    if len(set(columns)) < len(columns):
        raise DataError("Text, label and split have to be different columns. Choose another for one of them.")
    for number, values in table.records(columns):
        if number > MAX_ROWS:
            raise DataError(f"The file has more than {MAX_ROWS:,} rows. Upload a part of them.")
        text, label = clean_text(values[0]), clean_label(values[1])
        if len(text) > MAX_TEXT_CHARACTERS:
            raise DataError(
                f"Row {number} has a text of {len(text):,} characters; {MAX_TEXT_CHARACTERS:,} is the most. "
                "Split it into several rows."
            )
        if len(label) > MAX_LABEL_CHARACTERS:
            raise DataError(
                f"Row {number} has a label of {len(label):,} characters; {MAX_LABEL_CHARACTERS} is the most. "
                f"Check that “{mapping.label}” is the column with the labels."
            )
        yield LabeledRow(number, text, label, _split(values[2], number) if mapping.split else None)


def _split(value: str, number: int) -> Split:
    try:
        return _SPLIT_VALUES[value.strip().lower()]
    except KeyError:
        raise DataError(
            f"Row {number} is in none of the splits train, validation and test. "
            "Correct its split, or choose no split column to have the rows split for you."
        ) from None


def guess_mapping(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> ColumnMapping | None:
    """The likeliest mapping, by the columns' names and, where those say nothing, by the values in `rows`.

    None where there are fewer than two columns.
    """
    if len(columns) < 2:
        return None
    split = _named(columns, _SPLIT_NAMES, taken=())
    if split is not None and not _holds_splits(columns, rows, split):
        split = None
    free = [name for name in columns if name != split]
    if len(free) < 2:
        return None
    text = _named(free, _TEXT_NAMES, taken=())
    label = _named(free, _LABEL_NAMES, taken=(text,))
    if text is None:
        text = max(
            (name for name in free if name != label), key=lambda name: _mean_length(columns, rows, name)
        )
    if label is None:
        label = _most_repetitive(columns, rows, [name for name in free if name != text])
    return ColumnMapping(text, label, split)


def _named(columns: Sequence[str], names: Sequence[str], taken: Sequence[str | None]) -> str | None:
    """The column with the first of `names` that one has, exactly or as a part of its name."""
    free = [column for column in columns if column not in taken]
    for matches in (
        lambda column, name: column.strip().lower() == name,
        lambda column, name: name in column.lower().replace("-", "_").split("_"),
    ):
        for name in names:
            for column in free:
                if matches(column, name):
                    return column
    return None


def _values(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> list[str]:
    position = list(columns).index(name)
    return [row[position] for row in rows]


def _holds_splits(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> bool:
    return all(value.strip().lower() in _SPLIT_VALUES for value in _values(columns, rows, name))


def _mean_length(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> float:
    values = _values(columns, rows, name)
    return sum(map(len, values)) / max(1, len(values))


def _most_repetitive(columns: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    """The column with the fewest different values, the shorter ones on a tie; a constant one says nothing."""

    def rank(name: str) -> tuple[bool, int, float]:
        distinct = len(set(_values(columns, rows, name)))
        return (distinct < 2 and len(names) > 1, distinct, _mean_length(columns, rows, name))

    return min(names, key=rank)
