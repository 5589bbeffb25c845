"""Files as people have them: read whole, or refused with the row and the fix."""

import csv
import io
import json
import zipfile
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.errors import DataError
from training.data.files import DataFormat
from training.data.readers import Reading, detect, open_table, preview

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
ROWS = st.lists(st.tuples(LINES, TEXT), min_size=1, max_size=20)


def read(data: bytes, filename: str = "data.csv", reading: Reading | None = None):
    stream = io.BytesIO(data)
    table = open_table(stream, reading or detect(stream, filename))
    return table.columns, [tuple(record.values) for record in table.records(table.columns)]


def refusal(data: bytes, filename: str = "data.csv", reading: Reading | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(data, filename, reading)
    return str(caught.value)


def as_csv(rows, delimiter=",", encoding="utf-8") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    return buffer.getvalue().encode(encoding)


@given(ROWS, st.sampled_from(",;\t|"))
@settings(max_examples=60, deadline=None)
def test_delimited_text_comes_back_as_it_was_written(rows, delimiter):
    columns, found = read(as_csv(rows, delimiter), reading=Reading(DataFormat.CSV, delimiter=delimiter))
    assert columns == ["text", "label"]
    assert found == rows


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_json_lines_come_back_as_they_were_written(rows):
    data = "\n".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows)
    assert read(data.encode(), "data.jsonl") == (["text", "label"], rows)


@given(ROWS)
@settings(max_examples=20, deadline=None)
def test_parquet_comes_back_as_it_was_written(rows):
    assert read(as_parquet(rows), "data.parquet") == (["text", "label"], rows)


def as_parquet(rows) -> bytes:
    buffer = io.BytesIO()
    table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    pq.write_table(table, buffer, row_group_size=7)
    return buffer.getvalue()


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a"]))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_anything_but_rows_or_a_clear_refusal(data, filename):
    with suppress(DataError):
        columns, rows = read(data, filename)
        assert all(len(row) == len(columns) for row in rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings_are_told(encoding):
    rows = [("Où est mon colis ?", "delivery"), ("Ça marche – merci", "thanks")] * 20
    assert read(as_csv(rows, encoding=encoding))[1] == rows


@pytest.mark.parametrize(
    ("encoding", "sentence"),
    [
        ("cp1252", "Où est ma commande ? Je l’attends déjà depuis très longtemps, ça suffit"),
        ("cp1251", "Где мой заказ? Я жду его уже очень долго, это никуда не годится"),
        ("cp932", "私の注文はどこですか。もう長い間待っています。早く送ってください。"),
        ("gb18030", "我的订单在哪里？我已经等了很久了，请尽快给我发货，谢谢你们。"),
    ],
)
def test_older_encodings_are_told_and_said_to_be_assumed(encoding, sentence):
    rows = [(f"{sentence} {number}", "delivery") for number in range(30)]
    stream = io.BytesIO(as_csv(rows, encoding=encoding))
    reading = detect(stream, "data.csv")
    assert reading.encoding_assumed
    assert [tuple(row) for row in preview(open_table(stream, reading), 30)] == rows


def test_an_encoding_that_begins_late_in_the_file_is_seen():
    rows = [("plain", "a")] * 60_000 + [("déjà vu, très bien, l’été à Nîmes", "b")]
    data = as_csv(rows, encoding="cp1252")
    assert read(data)[1][-1] == rows[-1]


def test_damaged_utf8_names_the_row():
    rows = [("Où est mon colis ?", "a")] * 40
    data = as_csv(rows).replace("Où".encode(), b"O\xff\xfe", 18)
    data = data.replace(b"O\xff\xfe", "Où".encode(), 17)
    assert refusal(data) == (
        "Row 18 (line 19 of the file) holds bytes that are not UTF-8. "
        "Correct the characters there, or save the file again as UTF-8."
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_told(delimiter):
    rows = [("One, two; three | four", "a"), ("five, six", "b")] * 3
    assert read(as_csv(rows, delimiter), "data.txt")[1] == rows


def test_tab_separated_text_with_stray_quotes_is_read():
    data = b'sentence\tlabel\n"Never again, he said\tneg\n5" screen" is fine\tpos\n'
    assert read(data, "data.tsv")[1] == [('"Never again, he said', "neg"), ('5" screen" is fine', "pos")]


def test_quoted_line_breaks_belong_to_the_text():
    assert read(b'text,label\n"one\ntwo\r\nthree",a\nfour,b\n')[1] == [
        ("one\ntwo\r\nthree", "a"),
        ("four", "b"),
    ]


def test_blank_lines_and_a_spreadsheets_empty_fields_are_passed_over():
    assert read(b"text,label\n\none,a\n\n\ntwo,b,,\n")[1] == [("one", "a"), ("two", "b")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_is_read(end):
    assert read(end.join([b"text,label", b"one,a", b"two,b"]))[1] == [("one", "a"), ("two", "b")]


def test_a_file_without_a_header_is_noticed():
    columns, rows = read(b"How are you?,greeting\nBye now,farewell\nHello,greeting\n")
    assert columns == ["Column 1", "Column 2"]
    assert len(rows) == 3


def test_equal_and_empty_column_names_are_told_apart():
    assert read(b"text,text,,label\na,b,c,d\n")[0] == ["text", "text (2)", "Column 3", "label"]


RAGGED = b"id,text,label\n" + b"".join(
    b"%d,%b,a\n" % (number, b"no, thanks" if number == 17 else b"fine") for number in range(1, 30)
)


@pytest.mark.parametrize(
    ("data", "filename", "message"),
    [
        (
            RAGGED,
            "data.csv",
            "Row 17 has 4 fields, the header has 3 (line 18 of the file). Put the text in double quotes if",
        ),
        (
            b"id,text,label\n1,a,b\n2,c\n",
            "data.csv",
            "Row 2 has 2 fields, the header has 3 (line 3 of the file). Add what is missing, or",
        ),
        (
            b'text,label\none,a\n"two,b\nthree,c\n',
            "data.csv",
            "Row 2 opens a double quote that is never closed",
        ),
        (b'text,label\none,a\n"tw"o",b\n', "data.csv", "Row 2 has a double quote in the middle"),
        (b"text,label\none,a\ntwo\0,b\n", "data.csv", "Row 2 (line 3 of the file) holds a null byte"),
        (b"", "data.csv", "The file is empty"),
        (b"\n\n\n", "data.csv", "The file holds no rows"),
        (b"\xef\xbb\xbf", "data.csv", "The file holds no rows"),
        (b"sep=;\ntext;label\n", "data.csv", "Delete that line"),
        (b"<!DOCTYPE html><html>", "data.csv", "a web page"),
        (b"%PDF-1.7 ...", "data.csv", "a PDF"),
        (b"\x1f\x8b\x08\x00", "data.csv", "Unpack it"),
        (b"text,label\n", "data.parquet", "not Parquet"),
        (b"PAR1 and then nothing", "data.parquet", "damaged or cut short"),
        (b'[\n{"text": "a"}]', "data.json", "one JSON object a line"),
        (
            b'{"text": "a", "label": "b"}\n{"text": "a", \n',
            "data.jsonl",
            "Row 2 is not valid JSON from character",
        ),
        (b'{"text": "a", "label": "b"}\n["a"]\n', "data.jsonl", "Row 2 is not a JSON object"),
        (b'{"text": "a", "label": "b"}\n\n{"text": "a"}\n', "data.jsonl", "Row 2 has no “label”"),
        (b'{"text": "a", "label": ["b", "c"]}\n', "data.jsonl", "Row 1 has a list or an object in “label”"),
        (b'{"text": ' + b"[" * 100_000 + b"}\n", "data.jsonl", "too large"),
        (b'{"text": ' + b"9" * 10_000 + b"}\n", "data.jsonl", "too large"),
    ],
)
def test_a_bad_file_is_refused_with_the_row_and_the_fix(data, filename, message):
    assert message in refusal(data, filename)


def test_a_workbook_named_csv_is_refused_with_what_to_do():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    assert "save it as “CSV UTF-8”" in refusal(buffer.getvalue(), "messages.csv")


def test_a_quote_that_is_never_closed_in_a_large_file_does_not_fill_the_memory():
    data = b'text,label\n"open,a\n' + b"one more row,a\n" * 200_000
    assert refusal(data).startswith("Row 1 opens a double quote that is never closed")


def test_a_line_without_end_does_not_fill_the_memory():
    assert "a line of more than" in refusal(b"text,label\n" + b"x" * (5 << 20))


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    table = open_table(io.BytesIO(b"text,label\na,b\n"), Reading(DataFormat.CSV))
    with pytest.raises(DataError, match=r"no column “intent”. It has: “text”, “label”"):
        list(table.records(["text", "intent"]))


def test_values_of_json_become_text():
    data = b'{"text": "a\\u0000\\ud800", "label": 3}\n{"text": null, "label": true}\n'
    assert read(data, "data.jsonl")[1] == [("a�?", "3"), ("", "true")]


def test_a_preview_shows_what_cannot_be_a_text_too():
    stream = io.BytesIO(b'{"text": "a", "tags": ["b"]}\n{"text": "c"}\n')
    assert preview(open_table(stream, detect(stream, "data.jsonl"))) == [["a", '["b"]'], ["c", ""]]


def test_a_table_can_be_read_again_and_a_stream_stays_open():
    stream = io.BytesIO(as_csv([("one", "a"), ("two", "b")]))
    table = open_table(stream, detect(stream, "data.csv"))
    assert [record.number for record in table.records(["label"])] == [1, 2]
    assert [record.values for record in table.records(["label"])] == [("a",), ("b",)]
    assert not stream.closed
