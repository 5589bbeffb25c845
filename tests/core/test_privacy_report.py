"""The report of what was found: counts, places, and no value that was found."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.privacy.detect import Detector
from core.privacy.entities import DEFAULT_POLICY, ENTITIES, ENTITY_NAMES
from core.privacy.masks import mask
from core.privacy.pseudonymise import PrivacyKey, Pseudonymiser
from core.privacy.report import MAX_EXAMPLES, MAX_NOTED_ROWS, FindingsReport
from core.privacy.types import Finding, Operator

VALUES = {
    "PERSON": ["Jane Smith", "Bo", "Al B"],
    "EMAIL_ADDRESS": ["jane@example.com", "a@b.co", "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ"],
    "PHONE_NUMBER": ["+44 7700 900123", "555 0123"],
    "CREDIT_CARD": ["4012 8888 8888 1881"],
    "IBAN_CODE": ["DE89 3704 0044 0532 0130 00"],
    "US_SSN": ["460-89-9847"],
    "IP_ADDRESS": ["10.0.0.1", "::1"],
    "LOCATION": ["Rome"],
    "URL": ["https://example.com/u/jane"],
    "DATE_TIME": ["12 October 1984"],
}


REPLACEMENT = Pseudonymiser(PrivacyKey(b"k" * 32), DEFAULT_POLICY).replacement


def report_of(*texts: str) -> dict[str, Any]:
    report = FindingsReport(REPLACEMENT)
    for row, (text, findings) in enumerate(
        zip(texts, Detector(DEFAULT_POLICY).detect(texts), strict=True), 1
    ):
        report.add(row, text, findings)
    return report.as_dict()


@pytest.mark.parametrize(("entity", "value"), [(kind, value) for kind in VALUES for value in VALUES[kind]])
def test_a_masked_value_holds_neither_the_value_nor_a_word_of_it(entity, value):
    masked = mask(entity, value)
    assert value not in masked
    assert not [word for word in value.split() if len(word) > 4 and word in masked]
    assert "***" in masked


@pytest.mark.parametrize(
    ("entity", "value", "masked"),
    [
        ("PERSON", "Jane Smith", "J*** S***"),
        ("EMAIL_ADDRESS", "jane@example.com", "j***@e***"),
        ("CREDIT_CARD", "4012 8888 8888 1881", "***1881"),
        ("PHONE_NUMBER", "+44 7700 900123", "***0123"),
        ("PHONE_NUMBER", "555 0123", "***"),
        ("US_SSN", "460-89-9847", "***"),
        ("CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "***"),
    ],
)
def test_a_mask_shows_just_enough_for_who_knows_the_value(entity, value, masked):
    assert mask(entity, value) == masked


@given(st.sampled_from(sorted(ENTITY_NAMES)), st.text(st.characters(exclude_characters="*"), min_size=2))
def test_no_mask_is_the_value(entity, value):
    assert value not in mask(entity, value)


def test_counts_rows_and_kinds():
    report = report_of("Ring Jane Smith or John Doe", "nothing", "jane@example.com is Jane Smith's")
    assert (report["rows"], report["rows_with_findings"], report["findings"]) == (3, 2, 4)
    kinds = {kind["entity"]: (kind["findings"], kind["rows"]) for kind in report["entities"]}
    assert kinds == {"PERSON": (3, 2), "EMAIL_ADDRESS": (1, 1)}
    assert [kind["entity"] for kind in report["entities"]] == [
        entity.name for entity in ENTITIES if entity.name in kinds
    ]


def test_an_example_shows_where_it_stands_with_the_other_findings_hidden():
    report = report_of("Hello,\n  Jane Smith (jane@example.com) owes me")
    examples = {kind["entity"]: kind["examples"][0] for kind in report["entities"]}
    assert examples["PERSON"] == {
        "row": 1,
        "left": "Hello, ",
        "value": "J*** S***",
        "replacement": REPLACEMENT("PERSON", "Jane Smith"),
        "right": " ([EMAIL_ADDRESS]) owes me",
    }
    assert examples["EMAIL_ADDRESS"]["left"] == "Hello, [PERSON] ("


values = st.sampled_from(
    [
        ("EMAIL_ADDRESS", "jane.smith@example.com"),
        ("PHONE_NUMBER", "+44 7700 900123"),
        ("CREDIT_CARD", "4012888888881881"),
        ("PERSON", "Jane Smith"),
        ("US_SSN", "460-89-9847"),
    ]
)


@given(st.lists(st.lists(st.tuples(values, st.text("ab .\n", max_size=60)), max_size=6), max_size=8))
def test_no_whole_value_is_in_any_report(rows):
    report = FindingsReport(REPLACEMENT)
    for number, parts in enumerate(rows):
        text, findings = "", []
        for (entity, value), between in parts:
            findings.append(Finding(len(text), len(text) + len(value), entity, 1.0))
            text += value + between
        report.add(number, text, findings)

    stored = json.dumps(report.as_dict())

    assert not [value for row in rows for (_, value), _ in row if value in stored]
    assert json.loads(stored) == report.as_dict()


@pytest.mark.parametrize("operator", Operator)
def test_after_stands_what_the_operator_puts_there(operator):
    policy = replace(DEFAULT_POLICY, operators={"PERSON": operator})
    pseudonymiser = Pseudonymiser(PrivacyKey(b"k" * 32), policy)
    text, finding = "Ring Jane Smith", Finding(5, 15, "PERSON", 1.0)
    report = FindingsReport(pseudonymiser.replacement)
    report.add(1, text, [finding])
    (kind,) = report.as_dict()["entities"]
    after = "Ring " + kind["examples"][0]["replacement"]
    assert after == pseudonymiser.replace(text, [finding])


def test_the_first_rows_of_each_kind_are_noted_by_their_numbers():
    report = FindingsReport(REPLACEMENT)
    for row in range(MAX_NOTED_ROWS * 2):
        entity = "PERSON" if row % 2 else "LOCATION"
        report.add(row, "Al Bo", [Finding(0, 5, entity, 1)] if row % 4 else [])
    noted = report.noted_rows()
    assert noted["PERSON"] == list(range(1, MAX_NOTED_ROWS * 2, 2))
    assert noted["LOCATION"] == list(range(2, MAX_NOTED_ROWS * 2, 4))


def test_a_long_file_gives_few_examples_and_each_of_another_row():
    report = FindingsReport(REPLACEMENT)
    for row in range(1000):
        report.add(row, "Al Bo, Al Bo", [Finding(0, 5, "PERSON", 1), Finding(7, 12, "PERSON", 1)])
    (kind,) = report.as_dict()["entities"]
    assert [example["row"] for example in kind["examples"]] == list(range(MAX_EXAMPLES))
    assert (kind["findings"], kind["rows"]) == (2000, 1000)


def test_what_stands_around_an_example_is_cut_short():
    report = FindingsReport(REPLACEMENT)
    report.add(1, "x" * 500 + " Al Bo " + "y" * 500, [Finding(501, 506, "PERSON", 1)])
    (kind,) = report.as_dict()["entities"]
    assert len(kind["examples"][0]["left"]) < 50
    assert len(kind["examples"][0]["right"]) < 50
