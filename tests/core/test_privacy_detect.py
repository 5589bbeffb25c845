"""The detector: names beside patterns, offsets, policies, hostile texts."""

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.privacy.detect import Detector
from core.privacy.entities import CHOOSABLE, DEFAULT_POLICY, ENTITY_NAMES
from core.privacy.placeholders import PLACEHOLDER_OR_ESCAPED
from core.privacy.pseudonymise import PrivacyKey, Pseudonymiser
from core.privacy.spans import WINDOW
from core.privacy.types import Mode, Policy

ALL = Policy(ENTITY_NAMES)
PSEUDONYMISER = Pseudonymiser(PrivacyKey(b"k" * 32), ALL)

# Loads what requests need, without a network; torch and spaCy stand installed beside it and must not be imported.
_WARM_UP = """
import socket, sys

def refuse(*_):
    raise AssertionError("the engines reached for the network")

socket.socket.connect = refuse
from core.privacy.detect import Detector, warm_up
from core.privacy.entities import ENTITY_NAMES
from core.privacy.types import Policy
warm_up()
found = Detector(Policy(ENTITY_NAMES)).detect(["Ada: ada@example.com, example.org, 4012888888881881"])
assert len(found[0]) > 2, found
heavy = {"torch", "transformers", "tensorflow", "spacy", "thinc"} & {name for name, module in sys.modules.items() if module}
assert not heavy, heavy
"""


def found(text: str, policy: Policy = DEFAULT_POLICY, mode: Mode = Mode.FAST) -> list[tuple[str, str]]:
    return [
        (finding.entity, text[finding.start : finding.end])
        for finding in Detector(policy, mode).detect([text])[0]
    ]


def test_what_requests_need_loads_without_torch_spacy_and_a_network():
    subprocess.run([sys.executable, "-c", _WARM_UP], check=True, timeout=120)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("entity", CHOOSABLE, ids=lambda entity: entity.name)
def test_the_policy_pages_example_of_each_kind_is_found(entity, mode):
    kinds = {kind for kind, _ in found(f"It says: {entity.example}.", Policy(frozenset({entity.name})), mode)}
    assert kinds == {entity.name}


@pytest.mark.parametrize("mode", Mode)
def test_names_of_people_and_places(mode):
    text = "Hi, I'm Amélie Rousseau. John Smith's parcel went from Leipzig to New York."
    assert found(text, mode=mode) == [
        ("PERSON", "Amélie Rousseau"),
        ("PERSON", "John Smith"),
        ("LOCATION", "Leipzig"),
        ("LOCATION", "New York"),
    ]


def test_texts_of_one_row_share_their_names_and_others_do_not():
    texts = ["Hello, I am Amélie Rousseau from Leipzig.", "Rousseau: yes", "Rousseau: no"]
    together, alone = (Detector(DEFAULT_POLICY).detect(texts, rows)[1:] for rows in ([1, 1, 1], None))
    assert [[texts[1][one.start : one.end] for one in findings] for findings in together] == [
        ["Rousseau"]
    ] * 2
    assert Detector(DEFAULT_POLICY).detect(texts, [1, 2, 3])[1:] == alone


def test_only_the_kinds_of_the_policy_are_found():
    text = "John Smith, info@example.com, 203.0.113.7"
    assert found(text, Policy(frozenset({"IP_ADDRESS"}))) == [("IP_ADDRESS", "203.0.113.7")]
    assert found(text, Policy(frozenset({"PERSON"}))) == [("PERSON", "John Smith")]
    assert found(text, Policy(frozenset())) == []


def test_a_policy_that_is_off_finds_nothing():
    assert found("John Smith, john@example.com", Policy(ENTITY_NAMES, enabled=False)) == []


@pytest.mark.parametrize("allowed", ["John Smith", "john  SMITH", "John Smith.", "Ｊｏｈｎ Smith"])
def test_allowed_values_stay_in_any_spelling(allowed):
    policy = Policy(frozenset({"PERSON", "EMAIL_ADDRESS"}), frozenset({allowed}))
    text = "John Smith met Grace Hopper: john@example.com"
    assert found(text, policy) == [("PERSON", "Grace Hopper"), ("EMAIL_ADDRESS", "john@example.com")]


def test_a_value_is_allowed_whole_only():
    policy = Policy(frozenset({"PERSON", "EMAIL_ADDRESS"}), frozenset({"John", "example.com"}))
    assert found("John Smith: john@example.com", policy) == [
        ("PERSON", "John Smith"),
        ("EMAIL_ADDRESS", "john@example.com"),
    ]


def test_allowed_numbers_stay_in_any_spelling():
    policy = Policy(frozenset({"PHONE_NUMBER"}), frozenset({"0044 20 7946 0018"}))
    assert found("Ring +44 (20) 7946-0018 or +44 20 7946 0019", policy) == [
        ("PHONE_NUMBER", "+44 20 7946 0019")
    ]


def test_placeholders_in_a_text_are_left_alone():
    text = "[PERSON_ABCDEFGH] and [~PERSON_ABCDEFGH] met John Smith"
    assert found(text, ALL) == [("PERSON", "John Smith")]


def test_the_same_text_twice_has_the_same_findings_and_keeps_its_place():
    texts = ["John Smith", "nothing here", "John Smith", ""]
    findings = Detector(DEFAULT_POLICY).detect(texts)
    assert findings[0] == findings[2] != []
    assert findings[1] == findings[3] == []
    assert findings[0] is not findings[2]


# Texts around a value: outside the basic plane, joined, of full width, of two directions, half a surrogate pair.
around = st.text(st.sampled_from("😀👩‍💻𝒳é　．Ａｂ x.\n\u200fש\u00a0\ud800"), max_size=20)


@settings(max_examples=60)
@given(around, around)
def test_offsets_count_characters_whatever_stands_around(before, behind):
    text = f"{before} ada@example.com {behind} 203.0.113.7 {before}"
    assert found(text, Policy(frozenset({"EMAIL_ADDRESS", "IP_ADDRESS"}))) == [
        ("EMAIL_ADDRESS", "ada@example.com"),
        ("IP_ADDRESS", "203.0.113.7"),
    ]


def test_a_value_in_full_width_is_found_where_it_stands():
    text = "𝒳：４０１２　８８８８　８８８８　１８８１ 😀 ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ"
    assert found(text) == [
        ("CREDIT_CARD", "４０１２　８８８８　８８８８　１８８１"),
        ("EMAIL_ADDRESS", "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
    ]


pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "John Smith",
            "ada@example.com",
            "+44 20 7946 0018",
            "4012888888881881",
            "DE89370400440532013000",
            "12/10/1984",
            "[PERSON_ABCDEFGH]",
            "https://example.com/a",
            " ",
            ", ",
            "\n",
        ]
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(pieces, max_size=8).map("".join))
def test_findings_of_any_text_are_apart_and_can_be_replaced(text):
    findings = Detector(ALL).detect([text])[0]

    assert findings == sorted(findings)
    assert all(one.end <= other.start for one, other in pairwise(findings))
    for placeholder in PLACEHOLDER_OR_ESCAPED.finditer(text):
        assert all(
            finding.end <= placeholder.start() or placeholder.end() <= finding.start for finding in findings
        )
    PSEUDONYMISER.replace(text, findings)


@settings(max_examples=25, deadline=None)
@given(st.integers(WINDOW - 300, WINDOW + 50), st.sampled_from(["lorem ", "x", "lorem\n"]))
def test_a_value_across_the_cut_of_a_long_text_is_found_whole(position, filling):
    padding = (filling * (WINDOW // len(filling) + 20))[:position]
    values = ["ada.lovelace@example.com", "+44 20 7946 0018"]
    text = f"{padding} {' or '.join(values)} " + filling * 50
    assert [value for _, value in found(text, Policy(frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER"})))] == values


def test_values_all_over_a_long_text_are_found():
    values = [f"user{number}@example.com" for number in range(1000)]
    text = " and then ".join(values)
    assert [value for _, value in found(text, Policy(frozenset({"EMAIL_ADDRESS"})))] == values


# Each took seconds for every few thousand characters, or minutes where time grew with the square of the length.
_HOSTILE = """
from core.privacy import engines
from core.privacy.detect import Detector
from core.privacy.entities import ENTITY_NAMES
from core.privacy.types import Policy
for unit in ["a.", "!#$%&", "(", "\U0001f600", "+", "1 ", "a-", "a@b.co ", "ab12 ", "::1 ", "1.1.", "[~", "'a.b",
             "12 Ab ", "Apt. 1 ", "Rue ", "Ab\\n", "1 May ", "user name is ", "passport no ", "A-", "France "]:
    engines.patterns().find((unit * 4000)[:4000], ENTITY_NAMES)
for unit in ["a.", "!#$%&", "\U0001f600", "Ab\\n"]:
    Detector(Policy(ENTITY_NAMES)).detect([(unit * 5000)[:5000]])
"""


def test_hostile_texts_do_not_hold_the_detector_up():
    # No measure of speed: it takes seconds, and the limit is for what would not end.
    subprocess.run([sys.executable, "-c", _HOSTILE], check=True, timeout=300)


def test_a_code_in_a_manual_is_no_user_name():
    text = (
        "E07 means that the water tank is not seated: take it out, rinse it and push it in until it clicks."
    )
    for mode in Mode:
        assert Detector(DEFAULT_POLICY, mode).detect([text]) == [[]]
