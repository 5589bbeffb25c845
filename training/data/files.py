"""What kind of file was uploaded, told by what it holds rather than by its name alone."""

import json
from enum import StrEnum
from pathlib import PurePath

from training.data.errors import DataError

HEAD_BYTES = 4096


class DataFormat(StrEnum):
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"


FORMAT_TITLES = {
    DataFormat.CSV: "CSV",
    DataFormat.TSV: "TSV",
    DataFormat.JSONL: "JSON Lines",
    DataFormat.PARQUET: "Parquet",
}

_PARQUET = b"PAR1"
_EXPORT_CSV = "Open it and save it as “CSV UTF-8”, then upload that file."
_FOREIGN = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it and upload the file inside."),
    (b"BZh", "a bzip2 archive", "Unpack it and upload the file inside."),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it and upload the file inside."),
    (b"(\xb5/\xfd", "a Zstandard archive", "Unpack it and upload the file inside."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it and upload the file inside."),
    (b"Rar!", "a RAR archive", "Unpack it and upload the file inside."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", _EXPORT_CSV),
    (b"%PDF", "a PDF", "Upload the table that it was made from, as CSV."),
    (b"ARROW1", "an Arrow file", "Write it as Parquet instead."),
    (b"SQLite format 3", "a SQLite database", "Export the table as CSV."),
    (b"\x89PNG", "a picture", "Upload the texts and labels as CSV."),
    (b"\xff\xd8\xff", "a picture", "Upload the texts and labels as CSV."),
)


def detect_format(head: bytes, filename: str) -> DataFormat:
    """The format of a file that begins with `head` (its first HEAD_BYTES). Raises DataError for any other.

    CSV stands for delimited text: which delimiter it has is seen later.
    """
    if not head:
        raise DataError("The file is empty. Upload a file with a header row and at least one row of data.")
    _refuse_foreign(head)
    suffix = PurePath(filename).suffix.lower()
    if head.startswith(_PARQUET):
        return DataFormat.PARQUET
    if suffix in {".parquet", ".pq"}:
        raise DataError("The file is named .parquet but is not Parquet. Export it again, as Parquet or CSV.")
    start = head.decode("utf-8-sig", "replace").lstrip()
    if start[:9].lower() == "<!doctype" or start[:5].lower() in {"<html", "<?xml"}:
        raise DataError("The file is a web page or XML, not a table. Export the data as CSV.")
    if start.startswith("[") and (suffix.startswith(".json") or _begins_array(start)):
        raise DataError(
            "The file is one JSON array. Write one JSON object a line instead (JSON Lines), without commas "
            "between the lines."
        )
    if suffix in {".jsonl", ".ndjson", ".json"} or _begins_object(start):
        return DataFormat.JSONL
    return DataFormat.TSV if suffix in {".tsv", ".tab"} else DataFormat.CSV


def _refuse_foreign(head: bytes) -> None:
    if head.startswith(b"PK\x03\x04"):
        if b"xl/" in head or b"[Content_Types]" in head:
            raise DataError(f"The file is an Excel workbook, whatever its name ends in. {_EXPORT_CSV}")
        raise DataError("The file is a zip archive. Unpack it and upload the file inside.")
    for signature, what, fix in _FOREIGN:
        if head.startswith(signature):
            raise DataError(f"The file is {what}, not a table of texts and labels. {fix}")


def _begins_object(start: str) -> bool:
    if not start.startswith("{"):
        return False
    line = start.splitlines()[0]
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        # The first line may be longer than the head.
        return line[1:].lstrip().startswith('"') and len(line) == len(start)


def _begins_array(start: str) -> bool:
    return start[1:].lstrip().startswith(("{", "["))
