"""Uploaded files as tables: what a file is, and its rows, streamed so that memory does not grow with it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, BinaryIO

from training.data.delimited import (
    SAMPLE_CHARACTERS,
    DelimitedTable,
    Dialect,
    detect_dialect,
    guess_header,
    sample_rows,
)
from training.data.encodings import ENCODINGS, detect_encoding, text_stream
from training.data.errors import DataError
from training.data.files import HEAD_BYTES, DataFormat, detect_format
from training.data.jsonl import JsonlTable
from training.data.parquet import ParquetTable
from training.data.table import Table, shown

PREVIEW_ROWS = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read. `encoding`, `delimiter`, `quoted` and `header` say nothing of a Parquet file."""

    format: DataFormat
    encoding: str = "utf-8"
    encoding_assumed: bool = False
    delimiter: str = ","
    quoted: bool = True
    header: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Reading":
        return cls(**{**value, "format": DataFormat(value["format"])})

    @property
    def is_delimited(self) -> bool:
        return self.format in {DataFormat.CSV, DataFormat.TSV}

    @property
    def encoding_title(self) -> str:
        return ENCODINGS.get(self.encoding, self.encoding)


def detect(stream: BinaryIO, filename: str) -> Reading:
    """How to read `stream`, a seekable file named `filename`. Raises DataError where it is no table."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    format_ = detect_format(head, filename)
    if format_ is DataFormat.PARQUET:
        return Reading(format_)
    encoding = detect_encoding(stream)
    reading = Reading(format_, encoding.name, encoding.assumed)
    return reading if format_ is DataFormat.JSONL else _detect_delimited(stream, reading)


def _detect_delimited(stream: BinaryIO, reading: Reading) -> Reading:
    preferred = "\t" if reading.format is DataFormat.TSV else ","
    sample = _sample(stream, reading.encoding)
    if sample.startswith("sep=") and len(first := sample.splitlines()[0]) == len("sep=;"):
        # Excel's own first line, which no other program understands.
        raise DataError(f"The file's first line is “{first}”. Delete that line and upload it again.")
    dialect = detect_dialect(sample, preferred)
    return replace(
        reading,
        format=DataFormat.TSV if dialect.delimiter == "\t" else DataFormat.CSV,
        delimiter=dialect.delimiter,
        quoted=dialect.quoted,
        header=guess_header(sample_rows(sample, dialect)),
    )


def _sample(stream: BinaryIO, encoding: str) -> str:
    text = text_stream(stream, encoding, newline="")
    try:
        return text.read(SAMPLE_CHARACTERS)
    finally:
        text.detach()


def open_table(stream: BinaryIO, reading: Reading) -> Table:
    """The table in `stream`, read as `reading` says. Raises DataError where its beginning is wrong already."""
    match reading.format:
        case DataFormat.PARQUET:
            return ParquetTable(stream)
        case DataFormat.JSONL:
            return JsonlTable(stream, reading.encoding)
        case _:
            dialect = Dialect(reading.delimiter, reading.quoted)
            return DelimitedTable(stream, reading.encoding, dialect, reading.header)


def preview(table: Table, rows: int = PREVIEW_ROWS) -> list[list[str]]:
    """The values of the first rows, in the order of the columns, whatever they are; none where the file has none."""
    return list(islice(_shown_rows(table), rows))


def _shown_rows(table: Table) -> Iterator[list[str]]:
    match table:
        case JsonlTable():
            for _, row in table.objects():
                yield [shown(row.get(key)) for key in table.keys]
        case ParquetTable():
            for _, row in table.rows():
                yield [shown(value) for value in row.values()]
        case _:
            for record in table.records(table.columns):
                yield list(record.values)
