"""What a person said of a value, applied to findings wherever the value stands."""

from uuid import uuid4

import pytest

from core.privacy.entities import CUSTOM
from core.privacy.types import Finding
from training.data.correcting import Corrector
from training.data.corrections import Correction


def corrector(**said) -> Corrector:
    """`said`: values, with spaces as underscores, and their kinds."""
    return Corrector(Correction(uuid4(), value.replace("_", " "), kind) for value, kind in said.items())


def found(text: str, value: str, kind: str, score: float = 0.8) -> Finding:
    start = text.index(value)
    return Finding(start, start + len(value), kind, score)


def kinds(text: str, findings) -> list[tuple[str, str]]:
    return [(text[one.start : one.end], one.entity) for one in findings]


@pytest.mark.parametrize("spelling", ["Halden Rowe", "HALDEN ROWE", "halden  rowe", "Halden-Rowe"])
def test_what_is_no_personal_data_is_no_finding_in_whatever_spelling(spelling):
    text = f"Ask {spelling} today"
    assert corrector(Halden_Rowe=None).apply(text, [found(text, spelling, "ORGANIZATION")]) == []


def test_a_longer_finding_stays_though_a_part_of_it_is_no_personal_data():
    text = "Ask Halden Rowe-Smith"
    findings = [found(text, "Halden Rowe-Smith", "PERSON")]
    assert corrector(Halden=None).apply(text, findings) == findings


def test_what_is_personal_data_is_found_wherever_it_stands_by_itself():
    text = "marlin, MARLIN and marlins"
    assert kinds(text, corrector(Marlin="PERSON").apply(text, [])) == [
        ("marlin", "PERSON"),
        ("MARLIN", "PERSON"),
    ]


def test_a_correction_takes_the_place_of_what_was_found_there_and_leaves_the_rest():
    text = "Marlin Street 5, Leeds"
    findings = [found(text, "Marlin Street 5, Leeds", "LOCATION")]
    assert kinds(text, corrector(Marlin_Street="PERSON").apply(text, findings)) == [
        ("Marlin Street", "PERSON"),
        ("5, Leeds", "LOCATION"),
    ]


def test_the_policys_list_of_values_is_not_corrected():
    text = "Project Halden"
    findings = [found(text, "Halden", CUSTOM, 1.0)]
    assert corrector(Halden=None).apply(text, findings) == findings


def test_a_placeholder_is_not_taken_apart():
    text = "[PERSON_7F3KQ2ZD] called"
    assert corrector(PERSON_7F3KQ2ZD="PERSON", person="PERSON").apply(text, []) == []


def test_only_corrections_that_met_their_value_count_as_met():
    one = corrector(Marlin="PERSON", Nobody="PERSON", Halden=None, Absent=None)
    for text in ("Marlin and Halden", "marlin again", "Halden again"):
        findings = [found(text, "Halden", "PERSON")] if "Halden" in text else []
        one.apply(text, findings)
    assert (one.given, one.met) == (4, 2)


def test_without_corrections_findings_stay_as_they_are():
    text = "Ask Ada"
    findings = [found(text, "Ada", "PERSON")]
    assert Corrector().apply(text, findings) == findings
