"""Names that are certain once are found wherever they stand in the same row."""

from core.privacy.repeated import NamesOfARow
from core.privacy.types import Finding

SURE, UNSURE = 0.95, 0.5


def learned(*findings: tuple[str, str, float, str]) -> NamesOfARow:
    """Names out of (text, value, score, entity), all of row 1."""
    names = NamesOfARow()
    for text, value, score, entity in findings:
        start = text.index(value)
        names.learn(1, text, [Finding(start, start + len(value), entity, score)])
    return names


def places(names: NamesOfARow, text: str, row: int = 1) -> list[str]:
    return [text[one.start : one.end] for one in names.find(row, text)]


def test_a_name_and_its_parts_are_found_in_other_texts_of_the_row_but_in_no_other_row():
    names = learned(("I am Ada Lovelace", "Ada Lovelace", SURE, "PERSON"))
    assert places(names, "Lovelace wrote; Ada Lovelace's notes, Ada") == ["Lovelace", "Ada Lovelace", "Ada"]
    assert places(names, "Ada Lovelace", row=2) == []


def test_what_is_uncertain_or_no_person_is_not_looked_for():
    names = learned(
        ("Ada and Halden", "Ada", UNSURE, "PERSON"), ("Ada and Halden", "Halden", SURE, "LOCATION")
    )
    assert places(names, "Ada, Halden") == []


def test_a_part_that_is_a_word_of_the_row_as_well_is_not_looked_for():
    names = learned(("Will Birch will come", "Will Birch", SURE, "PERSON"))
    assert places(names, "Will you see Birch?") == ["Birch"]


def test_short_parts_and_small_letters_are_not_looked_for():
    names = learned(("Li de la Cruz", "Li de la Cruz", SURE, "PERSON"))
    assert places(names, "Li de Cruz la") == ["Cruz"]


def test_a_part_of_a_longer_word_is_none():
    names = learned(("Ann Meier", "Ann Meier", SURE, "PERSON"))
    assert places(names, "Annual Meierhof, Ann-Marie and Meier") == ["Meier"]
