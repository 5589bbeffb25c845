"""Stored rows as CSV, for people who open it in a spreadsheet."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.spreadsheets import inert
from training.data.rows import ChatRow, MultiLabelRow, StoredRow, TaggedRow, TextRow

_ROWS_AT_ONCE = 500


def rows_csv(rows: Iterable[StoredRow]) -> Iterator[bytes]:
    """`rows` of one task as CSV in UTF-8 with a byte order mark, without which Excel takes it for another encoding."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    for count, row in enumerate(rows, start=1):
        columns = _columns(row)
        if count == 1:
            writer.writerow(("row", *columns, "split"))
        writer.writerow((row.row, *map(inert, columns.values()), row.split.value))
        if count % _ROWS_AT_ONCE == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _columns(row: StoredRow) -> dict[str, str]:
    """What a row holds besides its number and split, by column; several values of one column as JSON."""
    match row:
        case TextRow():
            return {"text": row.text, "label": row.label}
        case MultiLabelRow():
            return {"text": row.text, "labels": _json(row.labels)}
        case TaggedRow():
            return {"tokens": _json(row.tokens), "tags": _json(row.tags)}
        case ChatRow():
            return {"messages": _json([{"role": one.role, "content": one.content} for one in row.messages])}


def _json(values: Sequence[Any]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _drain(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data
