"""Stored rows as CSV, for people who open it in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator

from training.data.datasets import Row

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_ROWS_AT_ONCE = 500


def rows_csv(rows: Iterable[Row]) -> Iterator[bytes]:
    """`rows` as CSV in UTF-8 with a byte order mark, without which Excel takes it for another encoding."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(("row", "text", "label", "split"))
    for count, row in enumerate(rows, start=1):
        writer.writerow((row.row, _inert(row.text), _inert(row.label), row.split.value))
        if count % _ROWS_AT_ONCE == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _inert(value: str) -> str:
    """`value` such that a spreadsheet takes it for text: one that begins like a formula would be run."""
    return "'" + value if value.lstrip(" ").startswith(_FORMULA_STARTS) else value


def _drain(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data
