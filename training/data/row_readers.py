"""The rows of an upload, read as its task asks."""

from collections.abc import Iterator

from core.catalogue import Task
from training.data import chat_rows, labeled_rows, multi_label_rows, tagged_rows
from training.data.columns import ColumnMapping
from training.data.errors import DataError
from training.data.table import Table
from training.data.uploaded import UploadedRow


def read_rows(table: Table, mapping: ColumnMapping) -> Iterator[UploadedRow]:
    """The rows of `table` as `mapping` says. Raises DataError at the first row that cannot be used."""
    if len(set(mapping.columns)) < len(mapping.columns):
        raise DataError("Text, label and split have to be different columns. Choose another for one of them.")
    match mapping.task:
        case Task.CLASSIFICATION:
            return labeled_rows.read(table, mapping)
        case Task.MULTI_LABEL:
            return multi_label_rows.read(table, mapping)
        case Task.TAGGING:
            return tagged_rows.read(table, mapping)
        case Task.CHAT:
            return chat_rows.read(table, mapping)
