"""Small Parquet files that stand for more than fits into memory: refused before they are unpacked."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# Reads within a gigabyte, as the portal does when a file has been uploaded, and prints what it tells the user.
_READ = """
import resource, sys
from training.data.errors import DataError
from training.data.readers import Reading, open_table, preview
from training.data.files import DataFormat
with open(sys.argv[1], "rb") as stream:
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
    try:
        table = open_table(stream, Reading(DataFormat.PARQUET))
        print(preview(table))
        print(sum(1 for _ in table.records(["text", "label"])))
    except DataError as error:
        print(error)
"""
ROWS = 200


def read(path) -> str:
    result = subprocess.run([sys.executable, "-c", _READ, path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def write(path, text, **options) -> str:
    table = pa.table({"text": text, "label": ["a"] * len(text)})
    pq.write_table(table, path, compression="zstd", **options)
    assert path.stat().st_size < 100_000
    return str(path)


def one_for_all(value: str, rows: int = ROWS) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))


@pytest.mark.parametrize("store_schema", [True, False])
def test_one_huge_text_for_every_row(tmp_path, store_schema):
    path = write(tmp_path / "a.parquet", one_for_all("x" * (20 << 20)), store_schema=store_schema)
    assert "Row 1 or a later one has a text of more than" in read(path)


def test_texts_that_were_compressed_to_nearly_nothing(tmp_path):
    texts = pa.array(["x" * (1 << 20)] * 100)
    assert "unpacks to" in read(write(tmp_path / "a.parquet", texts, use_dictionary=False))


def test_a_list_of_which_the_length_alone_is_written(tmp_path):
    offsets = pa.array([0, 50_000_000], pa.int32())
    lists = pa.ListArray.from_arrays(offsets, pa.nulls(50_000_000, pa.int8()))
    answer = read(write(tmp_path / "a.parquet", lists))
    assert "…" in answer
    assert "Row 1 has a list or an object in “text”" in answer


def test_a_text_that_many_rows_share_is_no_bomb(tmp_path):
    path = write(tmp_path / "a.parquet", one_for_all("x" * 50_000, rows=50_000))
    assert read(path).endswith("50000\n")
