"""CSV: a spreadsheet shows what is in it, and runs none of it."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.csv_export import to_csv

cells = st.one_of(st.integers(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_every_cell_comes_back_as_it_was_or_with_an_apostrophe(rows):
    back = read(to_csv(("a", "b"), rows))[1:]
    for row, found in zip(rows, back, strict=True):
        for cell, text in zip(row, found, strict=True):
            assert text in (str(cell), f"'{cell}")


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "－1", "\u00a0=1"],
)
def test_what_a_spreadsheet_would_run_is_text(cell):
    ((text,),) = read(to_csv(("a",), [(cell,)]))[1:]
    assert text == f"'{cell}"


def test_numbers_stay_numbers():
    assert to_csv(("a", "b"), [(-5, "1.50")]) == "a,b\r\n-5,1.50\r\n"
