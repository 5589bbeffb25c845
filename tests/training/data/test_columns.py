"""Which column is what, and what of a row is kept."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.columns import ColumnMapping, Split
from training.data.errors import DataError
from training.data.guessing import guess_mapping
from training.data.normalise import clean_label, clean_text, text_key, without_case_and_punctuation
from training.data.readers import detect, open_table
from training.data.row_readers import read_rows


def rows_of(data: str, mapping: ColumnMapping):
    stream = io.BytesIO(data.encode())
    return list(read_rows(open_table(stream, detect(stream, "data.csv")), mapping))


@pytest.mark.parametrize(
    ("columns", "row", "mapping"),
    [
        (["text", "label"], ["a", "b"], ColumnMapping("text", "label")),
        (["label", "text"], ["b", "a"], ColumnMapping("text", "label")),
        (["id", "Sentence", "Intent"], ["1", "a", "b"], ColumnMapping("Sentence", "Intent")),
        (["review", "topic", "split"], ["a", "b", "train"], ColumnMapping("review", "topic", "split")),
        (["review", "topic", "split"], ["a", "b", "banana"], ColumnMapping("review", "topic")),
        (
            ["customer_message", "issue_category"],
            ["a", "b"],
            ColumnMapping("customer_message", "issue_category"),
        ),
        (["Column 1", "Column 2"], ["b", "a much longer text"], ColumnMapping("Column 2", "Column 1")),
        (["only"], ["a"], None),
    ],
)
def test_columns_are_guessed_by_name_and_then_by_what_is_in_them(columns, row, mapping):
    assert guess_mapping(columns, [row, row]) == mapping


def test_the_column_that_repeats_itself_is_the_label():
    rows = [[str(number), f"text number {number} is long", "ab"[number % 2]] for number in range(8)]
    assert guess_mapping(["p", "q", "r"], rows) == ColumnMapping("q", "r")


def test_splits_go_by_many_names():
    found = rows_of(
        "text,label,fold\na,x,Training\nb,x,dev\nc,x,TEST\n", ColumnMapping("text", "label", "fold")
    )
    assert [row.split for row in found] == [Split.TRAIN, Split.VALIDATION, Split.TEST]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text,label,fold\na,x,train\nb,x,monday\n", "Row 2 is in none of the splits"),
        ("text,label,fold\n" + "a" * 100_001 + ",x,train\n", "Row 1 has a text of 100,001 characters"),
        ("text,label,fold\na," + "x" * 101 + ",train\n", "Row 1 has a label of 101 characters"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(data, message):
    with pytest.raises(DataError, match=message):
        rows_of(data, ColumnMapping("text", "label", "fold"))


def test_a_text_is_kept_composed_trimmed_and_without_control_characters():
    assert clean_text(" caf\u0065\u0301\r\nun\x07 d\u200beux \n") == "café\nun deux"
    assert clean_label("  Late \n delivery ") == "Late delivery"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is my order?", "where is my ORDER"),
        ("Straße, bitte!", "STRASSE BITTE"),
        ("don't  stop", "Don t stop."),
        ("e-mail", "E MAIL"),
        ("ｆｕｌｌ width", "full width"),
    ],
)
def test_case_and_punctuation_make_no_difference(one, other):
    assert text_key(one) == text_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("कि", "का"), ("order 1", "order 2"), ("👍", "👎"), ("?", "!"), ("ab", "a b")]
)
def test_what_is_left_does(one, other):
    assert text_key(one) != text_key(other)


@given(st.text())
@settings(max_examples=500)
def test_a_key_does_not_change_when_made_twice(text):
    once = without_case_and_punctuation(text)
    assert text_key(once) == text_key(text)
