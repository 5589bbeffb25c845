"""Text in tables that people open in a spreadsheet, which would run what looks like a formula (CWE-1236)."""

import unicodedata

_FORMULA_STARTS = ("=", "+", "-", "@")
_CONTROLS = ("\t", "\r", "\n")


def inert(text: str) -> str:
    """`text`, with an apostrophe before it where a spreadsheet would take it for a formula."""
    if text.startswith(_CONTROLS) or _as_read(text).startswith(_FORMULA_STARTS):
        return f"'{text}"
    return text


def _as_read(text: str) -> str:
    """As a lenient spreadsheet takes it: wide forms of the signs count, spaces before them do not."""
    return unicodedata.normalize("NFKC", text.lstrip()[:1])
