"""What is wrong with a file, in words for the person who uploaded it."""


class DataError(Exception):
    """The file cannot be used as it is. The message names the row where there is one, and the fix.

    It never quotes what the file holds, since it is stored and shown outside the encrypted blob.
    """


def at_row(number: int, line: int | None = None) -> str:
    """How messages name a row: `Row 17` or `Row 17 (line 18 of the file)`; row 1 is the first below the header."""
    return f"Row {number}" if line is None or line == number else f"Row {number} (line {line} of the file)"
