"""What every reader gives: named columns, and rows of text numbered from 1."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from training.data.errors import DataError

MAX_COLUMNS = 200
MAX_FIELD_CHARACTERS = 1 << 20
MAX_LINE_CHARACTERS = 4 << 20


class Record(NamedTuple):
    """One row: its number in the file (1 = the first below the header) and its values."""

    number: int
    values: tuple[str, ...]


class Table(Protocol):
    """An open file. `records` starts from the top each time, so only one can be under way."""

    columns: list[str]
    several: frozenset[str]
    """Those of the columns whose fields hold lists or objects."""

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """The rows with the values of `columns`, in that order. Raises DataError at the first row that is wrong."""
        ...

    def values(
        self, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """(row number, values of `columns` and of `optional`) as they are in the file: lists and objects, too.

        What a row lacks of `optional` is None. Raises DataError at the first row that is wrong.
        """
        ...


def unique_names(names: Sequence[str]) -> list[str]:
    """Column names made unique and none empty: `["a", "", "a"]` → `["a", "Column 2", "a (2)"]`."""
    if len(names) > MAX_COLUMNS:
        raise DataError(
            f"The file has {len(names):,} columns; {MAX_COLUMNS} is the most. Keep text and label."
        )
    seen: set[str] = set()
    result = []
    for position, name in enumerate(names, start=1):
        base = clean(name).strip()[:100] or f"Column {position}"
        unique, copy = base, 1
        while unique in seen:
            copy += 1
            unique = f"{base} ({copy})"
        seen.add(unique)
        result.append(unique)
    return result


def positions(columns: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where `wanted` are among `columns`. Raises DataError naming those that are not."""
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(
            f"The file has no column {' or '.join(f'“{name}”' for name in missing)}. "
            f"It has: {', '.join(f'“{name}”' for name in columns)}. Choose among those."
        )
    return [columns.index(name) for name in wanted]


def clean(text: str) -> str:
    """`text` without what neither UTF-8 nor Postgres can store: null characters and lone surrogates."""
    if text.isascii():
        return text.replace("\0", "�") if "\0" in text else text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


def cell(value: Any, column: str, number: int) -> str:
    """A value of JSON or Parquet as text; None is empty. Raises DataError for one that holds several."""
    match value:
        case str():
            text = value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple() | dict():
            raise DataError(
                f"Row {number} has a list or an object in “{column}”, where one value is needed. "
                "Write one text and one label a row."
            )
        case bytes():
            raise DataError(f"Row {number} has bytes in “{column}”. Write the column as text (string).")
        case _:
            text = str(value)
    if len(text) > MAX_FIELD_CHARACTERS:
        raise too_long(f"Row {number}")
    return clean(text)


def shown(value: Any) -> str:
    """A value for the preview, whatever it is."""
    if isinstance(value, list | tuple | dict):
        return clean(json.dumps(value, ensure_ascii=False, default=str))
    return clean("" if value is None else str(value))


def too_long(where: str) -> DataError:
    return DataError(
        f"{where} has a text of more than {MAX_FIELD_CHARACTERS:,} characters. Split it into several rows."
    )
