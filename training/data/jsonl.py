"""JSON Lines: one object a line."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from training.data.encodings import check_line, text_stream
from training.data.errors import DataError, at_row
from training.data.table import MAX_LINE_CHARACTERS, Record, cell, positions, unique_names

_ROWS_FOR_COLUMNS = 100


class JsonlTable:
    """A JSON Lines file, read from a seekable binary stream. Its columns are the keys of its first rows."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        """Raises DataError where the first rows cannot be read."""
        self._stream = stream
        self._encoding = encoding
        keys: dict[str, bool] = {}
        for number, row in self.objects():
            for key, value in row.items():
                keys[key] = keys.get(key, False) or isinstance(value, list | dict)
            if number >= _ROWS_FOR_COLUMNS:
                break
        if not keys:
            raise DataError("The file holds no rows. Write one JSON object a line.")
        self.keys = list(keys)
        self.columns = unique_names(self.keys)
        self.several = frozenset(
            column for column, key in zip(self.columns, self.keys, strict=True) if keys[key]
        )

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """See Table.records."""
        keys = self._keys_of(columns)
        for number, values in self.values(columns):
            yield Record(
                number, tuple([cell(value, key, number) for key, value in zip(keys, values, strict=True)])
            )

    def values(
        self, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """See Table.values."""
        keys = self._keys_of(columns)
        for number, row in self.objects():
            missing = [key for key in keys if key not in row]
            if missing:
                raise DataError(
                    f"Row {number} has no “{missing[0]}”. Give every row the same keys; null stands for an empty value."
                )
            yield number, (*(row[key] for key in keys), *(row.get(key) for key in optional))

    def _keys_of(self, columns: Sequence[str]) -> list[str]:
        return [self.keys[position] for position in positions(self.columns, columns)]

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(row number, object) of every line that is not blank."""
        text = text_stream(self._stream, self._encoding, newline="\n")
        number = line_number = 0
        try:
            while line := text.readline(MAX_LINE_CHARACTERS):
                line_number += 1
                where = at_row(number + 1, line_number)
                if len(line) >= MAX_LINE_CHARACTERS:
                    raise DataError(
                        f"{where} has more than {MAX_LINE_CHARACTERS:,} characters. Write one JSON object a line."
                    )
                check_line(line, self._encoding, where)
                if line.isspace():
                    continue
                number += 1
                yield number, _parse(line, where)
        finally:
            if not text.closed and not self._stream.closed:
                text.detach()  # or the wrapper would close the stream with itself


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where} is not valid JSON from character {error.pos + 1} on: {error.msg.lower()}. "
            "Write one complete JSON object a line."
        ) from None
    except (ValueError, RecursionError):
        raise DataError(
            f"{where} holds a number or a nesting that is too large. Write plain texts."
        ) from None
    if not isinstance(value, dict):
        raise DataError(f'{where} is not a JSON object. Write {{"text": "…", "label": "…"}} a line.')
    return value
