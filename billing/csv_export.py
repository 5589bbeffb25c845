"""CSV that spreadsheets can open without running what is in it."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_FORMULA_STARTS = ("=", "+", "-", "@")
_CONTROLS = ("\t", "\r", "\n")
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
        writer.writerow([_safe(cell) for cell in row])
        if out.tell() > _CHUNK_CHARACTERS:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _safe(cell: str | int) -> str | int:
    if isinstance(cell, str) and (cell.startswith(_CONTROLS) or _as_read(cell).startswith(_FORMULA_STARTS)):
        return f"'{cell}"
    return cell


def _as_read(cell: str) -> str:
    """As a lenient spreadsheet takes it: wide forms of the signs count, spaces before them do not."""
    return unicodedata.normalize("NFKC", cell).lstrip()
