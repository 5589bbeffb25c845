"""CSV that spreadsheets can open without running what is in it."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from core.spreadsheets import inert

_CHUNK_CHARACTERS = 1 << 16


def to_csv(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """Rows as CSV (RFC 4180). Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return "".join(iter_csv(header, rows))


def iter_csv(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> Iterator[str]:
    """The same in parts, for rows that are too many to hold at once."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for row in rows:
        writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
        if out.tell() > _CHUNK_CHARACTERS:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()
