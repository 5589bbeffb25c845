"""Parquet: read a few rows at a time, only the columns that are asked for.

A file of a thousand bytes can stand for gigabytes: compressed, as a dictionary's one entry that every row refers to,
or as a list of which the length alone is written. What would not fit in memory is refused before it is read.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.data.errors import DataError
from training.data.table import MAX_FIELD_CHARACTERS, Record, cell, positions, too_long, unique_names

_BATCH_ROWS = 64
_BUFFER_BYTES = 1 << 20
_MAX_ROW_GROUPS = 10_000
# Texts become a twentieth of their size when compressed, hardly ever a fiftieth.
_MAX_TIMES_UNPACKED = 100
_UNSUSPICIOUS_BYTES = 64 << 20
_MAX_VALUE_BYTES = 4 * MAX_FIELD_CHARACTERS
_MAX_VALUES = 20_000_000
_MAX_LIST_VALUES = 100_000
_MAX_BATCH_BYTES = 256 << 20

# Stands for a value that holds several, which is not read.
_SEVERAL = ["…"]


class ParquetTable:
    """A Parquet file, read from a seekable binary stream."""

    def __init__(self, stream: BinaryIO) -> None:
        """Raises DataError where the file is not whole, or unpacks to a size that no table of texts has."""
        self._stream = stream
        file = self._open()
        _check_sizes(file.metadata)
        self._names = list(file.schema_arrow.names)
        if not self._names:
            raise DataError("The file has no columns. Write at least a text and a label column.")
        if len(set(self._names)) < len(self._names):
            raise DataError(
                "Two columns of the file have the same name. Give every column a name of its own."
            )
        self.columns = unique_names(self._names)
        leaves = [file.schema.column(index) for index in range(len(file.schema))]
        self._leaves = [(leaf.path, leaf.physical_type) for leaf in leaves]
        self._plain = {leaf.path for leaf in leaves if leaf.max_repetition_level == 0}
        self.several = frozenset(
            column for column, name in zip(self.columns, self._names, strict=True) if name not in self._plain
        )
        self._texts = {leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"} & self._plain

    def _open(self, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
        self._stream.seek(0)
        try:
            # With pre_buffer a whole row group, which may be the whole file, would be held in memory.
            return pq.ParquetFile(
                self._stream,
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                read_dictionary=list(dictionaries),
            )
        except (pa.ArrowException, OSError) as error:
            raise _damaged() from error

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """See Table.records."""
        names = [self._names[position] for position in positions(self.columns, columns)]
        for number, row in self.rows(names):
            yield Record(number, tuple([cell(row[name], name, number) for name in names]))

    def values(
        self, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """See Table.values."""
        names = [self._names[position] for position in positions(self.columns, columns)]
        present = [name for name in optional if name in self._names]
        number = 0
        try:
            for batch in self._whole_batches([*names, *present]):
                for values in batch.to_pylist():
                    number += 1
                    yield (
                        number,
                        (*(values[name] for name in names), *(values.get(name) for name in optional)),
                    )
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(number) from error

    def _whole_batches(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Rows with lists and objects in them, looked at before they are unpacked."""
        wanted = [
            (index, path, kind)
            for index, (path, kind) in enumerate(self._leaves)
            if any(path == name or path.startswith(f"{name}.") for name in names)
        ]
        file = self._open([path for _, path, kind in wanted if kind == "BYTE_ARRAY"])
        for group in range(file.num_row_groups):
            chunks = [file.metadata.row_group(group).column(index) for index, _, _ in wanted]
            if any(chunk.num_values > _MAX_VALUES for chunk in chunks):
                raise DataError(
                    f"A row group of the file has more than {_MAX_VALUES:,} values. Write it with smaller ones."
                )
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names):
                if any(_longest_list(column) > _MAX_LIST_VALUES for column in batch.columns):
                    raise DataError(
                        f"A row of the file has a list of more than {_MAX_LIST_VALUES:,} values. "
                        "Split it into several rows."
                    )
                if sum(_text_bytes(column) for column in batch.columns) > _MAX_BATCH_BYTES:
                    raise DataError(
                        f"{_BATCH_ROWS} rows of the file hold more than {_MAX_BATCH_BYTES >> 20} MB of text. "
                        "Split the long ones into several rows."
                    )
                yield batch

    def rows(self, names: Sequence[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """(row number, {column: value})."""
        wanted = self._names if names is None else list(names)
        several = dict.fromkeys((name for name in wanted if name not in self._plain), _SEVERAL)
        number = 0
        try:
            for batch in self._batches([name for name in wanted if name in self._plain]):
                for values in batch.to_pylist():
                    number += 1
                    yield number, {name: (values | several)[name] for name in wanted} if several else values
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(number) from error

    def _batches(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        file = self._open()
        texts = [name for name in names if name in self._texts]
        with_dictionaries = self._open(texts)
        first = 1
        for group in range(file.num_row_groups):
            _check_dictionaries(with_dictionaries, group, texts, first)
            yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names)
            first += file.metadata.row_group(group).num_rows


def _check_sizes(metadata: pq.FileMetaData) -> None:
    if metadata.num_row_groups > _MAX_ROW_GROUPS:
        raise DataError(
            f"The file has {metadata.num_row_groups:,} row groups; {_MAX_ROW_GROUPS:,} is the most. "
            "Write it again with larger ones."
        )
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(index)
            unpacked, packed = chunk.total_uncompressed_size, chunk.total_compressed_size
            if unpacked > max(_UNSUSPICIOUS_BYTES, _MAX_TIMES_UNPACKED * packed):
                raise DataError(
                    f"“{chunk.path_in_schema}” unpacks to {unpacked:,} bytes from {packed:,}, which no table of texts "
                    "does. Write the file again, or export it as CSV."
                )


def _check_dictionaries(file: pq.ParquetFile, group: int, texts: list[str], row: int) -> None:
    """Look at the texts that the rows of a group, which begins with number `row`, refer to before they are copied."""
    if not texts:
        return
    for batch in file.iter_batches(1, row_groups=[group], columns=texts):
        for column in batch.columns:
            values = column.dictionary if pa.types.is_dictionary(column.type) else column
            if (pc.max(pc.binary_length(values)).as_py() or 0) > _MAX_VALUE_BYTES:
                raise too_long(f"Row {row} or a later one")
        return


def _longest_list(array: pa.Array) -> int:
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return int(pc.max(pc.list_value_length(array)).as_py() or 0)
    return 0


def _text_bytes(array: pa.Array) -> int:
    """How many bytes the texts in `array` take once each value that stands for one has a copy of its own."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
    elif pa.types.is_map(kind):
        return _text_bytes(array.keys) + _text_bytes(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _text_bytes(array.flatten())
    elif pa.types.is_struct(kind):
        return sum(_text_bytes(field) for field in array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        lengths = pc.binary_length(array)
    else:
        return 0
    return int(pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0)


def _damaged(after: int = 0) -> DataError:
    where = f" after row {after}" if after else ""
    return DataError(f"The Parquet file is damaged or cut short{where}. Write it again, or export it as CSV.")
