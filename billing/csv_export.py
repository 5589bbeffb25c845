"""CSV that spreadsheets can open without running what is in it."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

_FORMULA_STARTS = ("=", "+", "-", "@")
_CONTROLS = ("\t", "\r", "\n")


def to_csv(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """Rows as CSV (RFC 4180). Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe(cell: str | int) -> str | int:
    if isinstance(cell, str) and (cell.startswith(_CONTROLS) or _as_read(cell).startswith(_FORMULA_STARTS)):
        return f"'{cell}"
    return cell


def _as_read(cell: str) -> str:
    """As a lenient spreadsheet takes it: wide forms of the signs count, spaces before them do not."""
    return unicodedata.normalize("NFKC", cell).lstrip()
