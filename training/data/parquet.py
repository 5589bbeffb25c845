"""Parquet: read a few rows at a time, only the columns that are asked for."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from training.data.errors import DataError
from training.data.table import Record, cell, positions, unique_names

_BATCH_ROWS = 256
_BUFFER_BYTES = 1 << 20


class ParquetTable:
    """A Parquet file, read from a seekable binary stream."""

    def __init__(self, stream: BinaryIO) -> None:
        """Raises DataError where the file is not whole."""
        self._stream = stream
        schema = self._open().schema_arrow
        self._names = list(schema.names)
        if not self._names:
            raise DataError("The file has no columns. Write at least a text and a label column.")
        if len(set(self._names)) < len(self._names):
            raise DataError(
                "Two columns of the file have the same name. Give every column a name of its own."
            )
        self.columns = unique_names(self._names)

    def _open(self) -> pq.ParquetFile:
        self._stream.seek(0)
        try:
            # With pre_buffer a whole row group, which may be the whole file, would be held in memory.
            return pq.ParquetFile(self._stream, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise _damaged() from error

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """See Table.records."""
        names = [self._names[position] for position in positions(self.columns, columns)]
        for number, row in self.rows(names):
            yield Record(number, tuple([cell(row[name], name, number) for name in names]))

    def rows(self, names: Sequence[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """(row number, {column: value})."""
        number = 0
        file = self._open()
        try:
            for batch in file.iter_batches(_BATCH_ROWS, columns=None if names is None else list(names)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(number) from error


def _damaged(after: int = 0) -> DataError:
    where = f" after row {after}" if after else ""
    return DataError(f"The Parquet file is damaged or cut short{where}. Write it again, or export it as CSV.")
