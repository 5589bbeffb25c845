"""Placeholders: one for each value of a tenant's, and text that looks like one is told from one."""

import unicodedata
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.crypto import TenantKey
from core.privacy.entities import DEFAULT_POLICY, ENTITY_NAMES
from core.privacy.placeholders import PLACEHOLDER, escape, unescape
from core.privacy.pseudonymise import Pseudonymiser, generalise, privacy_key
from core.privacy.types import Finding, Policy

OURS = Pseudonymiser(privacy_key(TenantKey(UUID(int=1), b"a" * 32)), DEFAULT_POLICY)
THEIRS = Pseudonymiser(privacy_key(TenantKey(UUID(int=2), b"b" * 32)), DEFAULT_POLICY)

entities = st.sampled_from(sorted(ENTITY_NAMES))
# Text that is full of what placeholders are made of.
lookalikes = st.builds(
    "[{}{}_{}{}".format,
    st.sampled_from(["", "~", "~~", "["]),
    st.sampled_from(["PERSON", "CRYPTO", "person"]),
    st.sampled_from(["ABCDEFGH", "A2B3C4D5", "ABCDEFG", "ABCDEFG1"]),
    st.sampled_from(["]", "", "]]"]),
)
texts = st.lists(st.one_of(st.text(max_size=10), lookalikes), max_size=6).map("".join)


@st.composite
def texts_with_findings(draw):
    """A text and findings in it that are apart from one another."""
    text = draw(texts)
    ends = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = zip(ends[::2], ends[1::2], strict=False)
    return text, [Finding(start, end, draw(entities), 1.0) for start, end in pairs]


@given(texts)
@example("[~PERSON_ABCDEFGH]")
@example("[[PERSON_ABCDEFGH]")
def test_escaped_text_holds_no_placeholder_and_comes_back(text):
    escaped = escape(text)
    assert not PLACEHOLDER.search(escaped)
    assert unescape(escaped) == text


@given(texts_with_findings())
def test_only_the_findings_are_replaced(case):
    text, findings = case
    gaps, position = [], 0
    for finding in findings:
        gaps.append(text[position : finding.start])
        position = finding.end
    gaps.append(text[position:])

    replaced = OURS.replace(text, findings)

    kinds = PLACEHOLDER.findall(replaced)
    assert kinds == [finding.entity for finding in findings]
    # The pattern has one group, the kind: every second part is what stands between.
    assert [unescape(part) for part in PLACEHOLDER.split(replaced)[::2]] == gaps


@given(texts_with_findings())
def test_a_replaced_text_that_comes_again_as_a_text_is_not_taken_for_placeholders(case):
    replaced = OURS.replace(*case)
    again = OURS.replace(replaced, [])
    assert generalise(again) == again
    assert unescape(again) == replaced


@given(texts_with_findings())
def test_the_model_reads_kinds_in_place_of_placeholders(case):
    text, findings = case
    replaced = OURS.replace(text, findings)
    read = generalise(replaced)
    assert not PLACEHOLDER.search(read)
    assert read == PLACEHOLDER.sub(lambda placeholder: f"[{placeholder[1]}]", replaced)


@pytest.mark.parametrize(
    "findings",
    [
        [Finding(0, 4, "PERSON", 1), Finding(3, 6, "PERSON", 1)],
        [Finding(2, 2, "PERSON", 1)],
        [Finding(0, 9, "PERSON", 1)],
        [Finding(-1, 3, "PERSON", 1)],
    ],
)
def test_findings_that_overlap_or_lie_outside_are_an_error(findings):
    with pytest.raises(ValueError, match="overlap or lie outside"):
        OURS.replace("John Doe", findings)


@given(texts)
def test_a_policy_that_is_off_changes_nothing(text):
    off = Pseudonymiser(
        privacy_key(TenantKey(UUID(int=1), b"a" * 32)), Policy(DEFAULT_POLICY.entities, enabled=False)
    )
    assert off.replace(text, []) == text


@given(entities, st.text())
def test_a_value_has_one_placeholder_in_a_tenant_and_another_in_each_other(entity, value):
    ours = OURS.placeholder(entity, value)
    assert PLACEHOLDER.fullmatch(ours)
    assert OURS.placeholder(entity, value) == ours
    assert THEIRS.placeholder(entity, value) != ours


@given(st.text(min_size=1))
def test_the_same_value_as_another_kind_has_another_placeholder(value):
    assert OURS.placeholder("PERSON", value)[8:] != OURS.placeholder("LOCATION", value)[10:]


def test_placeholders_are_not_made_with_the_key_that_opens_blobs():
    key = TenantKey(UUID(int=1), b"a" * 32)
    assert privacy_key(key) != key.data_key


def test_a_placeholder_stays_what_it_was():
    # Data sets hold them: another code for the same value would break every one of them.
    assert OURS.placeholder("PERSON", "Ada Lovelace") == "[PERSON_N546X7QL]"


names = st.lists(
    st.text(st.sampled_from("abcxyzäéñçøžABCÄÉЖждΩλक"), min_size=1, max_size=6), min_size=1, max_size=3
)
digits = st.text(st.sampled_from("0123456789"), min_size=1, max_size=19)
separators = st.lists(st.sampled_from(["", " ", "-", ".", "\u00a0", "\u2011"]), min_size=20, max_size=20)


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


@given(st.sampled_from(["PERSON", "LOCATION", "ORGANIZATION"]), names)
def test_a_name_is_the_same_in_every_spelling(entity, words):
    value = " ".join(words)
    spellings = {
        value,
        value.upper(),
        value.lower(),
        f"  {'  '.join(words)}\n",
        ", ".join(words) + ".",
        unicodedata.normalize("NFD", value),
        full_width(value),
    }
    assert len({OURS.placeholder(entity, spelling) for spelling in spellings}) == 1


@given(st.sampled_from(["CREDIT_CARD", "US_SSN", "PHONE_NUMBER"]), digits, separators)
def test_a_number_is_the_same_with_any_separators(entity, number, between):
    spelling = "".join(digit + separator for digit, separator in zip(number, between, strict=False))
    placeholder = OURS.placeholder(entity, number)
    assert OURS.placeholder(entity, spelling) == placeholder
    assert OURS.placeholder(entity, full_width(spelling)) == placeholder


@pytest.mark.parametrize(
    ("entity", "one", "other"),
    [
        ("EMAIL_ADDRESS", "Ada@Example.com", "ada@example.COM"),
        ("PHONE_NUMBER", "+44 7700 900123", "0044 (7700) 900-123"),
        ("IBAN_CODE", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("MAC_ADDRESS", "00:1A:2B:3C:4D:5E", "001a.2b3c.4d5e"),
        ("IP_ADDRESS", "2001:db8:0:0::1", "2001:DB8::1"),
        ("PERSON", "ΐ", "ΐ".upper()),
    ],
)
def test_spellings_of_one_value(entity, one, other):
    assert OURS.placeholder(entity, one) == OURS.placeholder(entity, other)


@pytest.mark.parametrize(
    ("entity", "one", "other"),
    [
        ("CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1a1zp1ep5qgefi2dmptftl5slmv7divfna"),
        ("PHONE_NUMBER", "+44 7700 900123", "07700 900123"),
        ("EMAIL_ADDRESS", "ada.l@example.com", "adal@example.com"),
        ("PERSON", "Jose", "José"),
        ("PERSON", "राम", "रीम"),
        ("IP_ADDRESS", "10.0.0.1", "10.0.0.10"),
    ],
)
def test_different_values_stay_apart(entity, one, other):
    assert OURS.placeholder(entity, one) != OURS.placeholder(entity, other)
