"""CSV and TSV: told apart, and read row by row."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from training.data.encodings import check_line, text_stream
from training.data.errors import DataError, at_row
from training.data.table import MAX_FIELD_CHARACTERS, MAX_LINE_CHARACTERS, Record, positions, unique_names

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
SAMPLE_CHARACTERS = 256 << 10
SAMPLE_ROWS = 200
_NAMES = frozenset(
    "text label split id class category intent sentence question message review comment content title body "
    "sentiment topic tag target input output utterance description document tweet subject".split()
)

# The limit of the csv module is one for the process, and keeps a quote that is never closed from reading the
# rest of a large file into memory.
csv.field_size_limit(MAX_FIELD_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a delimited file is written: `quoted` where a field in quotes may hold delimiters and line breaks."""

    delimiter: str
    quoted: bool = True

    def reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        if self.quoted:
            return csv.reader(lines, delimiter=self.delimiter, strict=strict)
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=strict)


def detect_dialect(sample: str, preferred: str) -> Dialect:
    """The dialect in which the rows of `sample` (the file's beginning) have the same number of fields.

    `preferred` is the delimiter that the file's name promises. A file of one column gets it too.
    """
    candidates = [Dialect(preferred), *(Dialect(sign) for sign in DELIMITERS if sign != preferred)]
    candidates.append(Dialect("\t", quoted=False))
    scored = [(_consistency(sample, dialect), dialect) for dialect in candidates]
    best_score, best = max(scored, key=lambda pair: pair[0])
    return best if best_score > 0 else Dialect(preferred)


def _consistency(sample: str, dialect: Dialect) -> float:
    """The share of the sample's rows that have its most common number of fields; 0 where that is one."""
    widths: Counter[int] = Counter()
    try:
        for row in sample_rows(sample, dialect, strict=dialect.delimiter == "\t"):
            widths[len(row)] += 1
    except csv.Error:
        return 0.0
    if not widths:
        return 0.0
    width, rows = widths.most_common(1)[0]
    return 0.0 if width < 2 else rows / widths.total()


def sample_rows(sample: str, dialect: Dialect, *, strict: bool = False) -> list[list[str]]:
    """The whole rows at the start of `sample`, SAMPLE_ROWS at most."""
    rows: list[list[str]] = []
    for row in dialect.reader(io.StringIO(sample, newline=""), strict=strict):
        if row:
            rows.append(row)
        if len(rows) > SAMPLE_ROWS:
            break
    if len(rows) > 1 and len(sample) >= SAMPLE_CHARACTERS:
        rows.pop()  # the sample ends in the middle of it
    return rows


def guess_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of `rows` holds names: known ones, or values that look like names and occur nowhere else."""
    if not rows:
        return True
    first = [value.strip() for value in rows[0]]
    if any(name.lower() in _NAMES for name in first):
        return True
    if any(len(name) > 40 or not name or _is_number(name) for name in first) or len(set(first)) < len(first):
        return False
    for position, name in enumerate(first):
        if any(len(row) > position and row[position].strip() == name for row in rows[1:]):
            return False  # a label that recurs, not a name
    return not any(name.endswith((".", "?", "!")) or name.count(" ") > 3 for name in first)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


class DelimitedTable:
    """A CSV or TSV file, read from a seekable binary stream."""

    several: frozenset[str] = frozenset()

    def __init__(self, stream: BinaryIO, encoding: str, dialect: Dialect, header: bool) -> None:
        """Raises DataError where there is no first row or it cannot be read."""
        self._stream = stream
        self._encoding = encoding
        self._dialect = dialect
        self._header = header
        self._number = 0  # of the row being read; 0 is the header
        self._line = 0
        first = next(self._rows(), None)
        if first is None:
            raise DataError("The file holds no rows. Upload a file with a header row and rows below it.")
        self.columns = unique_names(first if header else [""] * len(first))

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """See Table.records."""
        wanted = positions(self.columns, columns)
        width = len(self.columns)
        rows = self._rows()
        if self._header:
            next(rows)
        for number, row in enumerate(rows, start=1):
            fields = row if len(row) == width else self._fit(row, number)
            yield Record(number, tuple([fields[position] for position in wanted]))

    def values(
        self, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """See Table.values."""
        present = [name for name in optional if name in self.columns]
        for number, fields in self.records([*columns, *present]):
            given = dict(zip(present, fields[len(columns) :], strict=True))
            yield number, (*fields[: len(columns)], *(given.get(name) for name in optional))

    def _fit(self, row: list[str], number: int) -> list[str]:
        """`row` without empty fields past the last column, which spreadsheets leave. Raises DataError."""
        width = len(self.columns)
        if len(row) > width and not any(row[width:]):
            return row[:width]
        fields = f"{len(row)} field{'' if len(row) == 1 else 's'}"
        whole = f"the header has {width}" if self._header else f"the first row has {width}"
        sign = DELIMITERS.get(self._dialect.delimiter, "delimiter")
        fix = (
            f"Put the text in double quotes if it contains a {sign}."
            if len(row) > width
            else "Add what is missing, or put a text with line breaks in double quotes."
        )
        raise DataError(f"{at_row(number)} has {fields}, {whole} (line {self._line} of the file). {fix}")

    def _rows(self) -> Iterator[list[str]]:
        """All rows with anything in them, the header's too. Keeps `_number` at the row being read."""
        self._line = 0
        self._number = 0 if self._header else 1
        text = text_stream(self._stream, self._encoding, newline="")
        try:
            reader = self._dialect.reader(self._lines(text), strict=True)
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise self._explain(error) from None
                if row:
                    yield row
                    self._number += 1
        finally:
            if not text.closed and not self._stream.closed:
                text.detach()  # or the wrapper would close the stream with itself

    def _lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        while line := text.readline(MAX_LINE_CHARACTERS):
            self._line += 1
            if len(line) >= MAX_LINE_CHARACTERS:
                raise DataError(
                    f"{self._where()} has a line of more than {MAX_LINE_CHARACTERS:,} characters. "
                    "Write one row a line."
                )
            check_line(line, self._encoding, self._where())
            yield line

    def _where(self) -> str:
        return at_row(self._number, self._line) if self._number else "The header"

    def _explain(self, error: csv.Error) -> DataError:
        where = at_row(self._number) if self._number else "The header"
        reason = str(error)
        if "unexpected end of data" in reason or "field limit" in reason:
            return DataError(
                f"{where} opens a double quote that is never closed. Close it, or double every quote that "
                'belongs to the text ("").'
            )
        return DataError(
            f"{where} has a double quote in the middle of a quoted text (near line {self._line} of the file). "
            'Double the quotes that belong to the text ("").'
        )
