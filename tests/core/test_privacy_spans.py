"""Windows over long texts, and findings that stay apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.privacy.spans import OVERLAP, WINDOW, keep_apart, merge_alike, shift, trim_name, windows
from core.privacy.types import Finding

# Long texts, from few choices: words, rows without a space, spaces, characters outside the basic plane.
long_texts = st.lists(
    st.builds(
        lambda word, times: word * times,
        st.sampled_from(["word ", "x", " ", "\n", "😀", "two words\n"]),
        st.integers(1, WINDOW + OVERLAP),
    ),
    max_size=5,
).map("".join)


@given(long_texts)
def test_windows_cover_the_whole_text(text):
    covered = 0
    for start, piece in windows(text):
        assert len(piece) <= WINDOW
        assert text[start : start + len(piece)] == piece
        assert start <= covered, "characters between two windows were left out"
        covered = start + len(piece)
    assert covered == len(text)


@given(st.integers(0, WINDOW - 2 * OVERLAP), st.integers(1, 40))
def test_long_texts_are_cut_at_spaces(before, length):
    text = "x" * before + " " + ("y" * length + " ") * (2 * WINDOW // length)
    for start, piece in windows(text):
        end = start + len(piece)
        assert start == 0 or text[start - 1] == " "
        assert end == len(text) or text[end] == " "


@given(st.integers(0, 3 * WINDOW), st.integers(1, OVERLAP // 2))
def test_what_is_shorter_than_the_overlap_lies_whole_in_a_window(position, length):
    text = "x " * (2 * WINDOW)
    end = position + length
    assert any(start <= position and end <= start + len(piece) for start, piece in windows(text))


def test_a_short_text_is_one_window():
    assert list(windows("short")) == [(0, "short")]
    assert list(windows("")) == [(0, "")]


def findings_in(size: int):
    return st.lists(
        st.builds(
            lambda start, length, entity, score: Finding(start, min(start + length, size), entity, score),
            st.integers(0, size - 1),
            st.integers(1, 12),
            st.sampled_from(["PERSON", "PHONE_NUMBER", "EMAIL_ADDRESS"]),
            st.sampled_from([0.4, 0.85, 1.0]),
        ),
        max_size=12,
    )


SIZE = 60
texts = st.text(st.sampled_from("ab1 .-(😀"), min_size=SIZE, max_size=SIZE)


def characters(findings) -> set[int]:
    return {position for finding in findings for position in range(finding.start, finding.end)}


@given(texts, findings_in(SIZE), findings_in(SIZE), st.sets(st.integers(0, 5)))
def test_findings_never_overlap_and_keep_off_what_is_taken(text, patterns, names, blocks):
    taken = [(10 * block, 10 * block + 4) for block in blocks]

    kept = keep_apart(text, patterns, names, taken)

    assert kept == sorted(kept)
    assert sum(finding.end - finding.start for finding in kept) == len(characters(kept))
    assert not characters(kept) & {position for start, end in taken for position in range(start, end)}


@given(texts, findings_in(SIZE), findings_in(SIZE))
def test_of_what_loses_no_words_are_left_open(text, patterns, names):
    open_characters = characters(patterns + names) - characters(keep_apart(text, patterns, names))
    # A letter or digit that stays open stands alone, between what is replaced and what was never found.
    alone = [position for position in open_characters if text[position].isalnum()]
    assert all(position + 1 not in alone for position in alone)


def test_strays_of_two_findings_that_stand_side_by_side_are_replaced_together():
    left = [Finding(0, 3, "PERSON", 0.4), Finding(2, 4, "PERSON", 0.4)]
    right = [Finding(4, 6, "LOCATION", 0.4), Finding(5, 6, "LOCATION", 0.85)]
    found = keep_apart("abcdef", [], left + right)
    assert [(finding.start, finding.end) for finding in found] == [(0, 3), (3, 5), (5, 6)]


def test_a_pattern_beats_a_name_and_a_checksum_beats_a_shape():
    text = "Ring 4012888888881881 now"
    card, phone = Finding(5, 21, "CREDIT_CARD", 1.0), Finding(5, 21, "PHONE_NUMBER", 0.4)
    name = Finding(0, 21, "PERSON", 0.85)
    assert keep_apart(text, [phone, card], [name]) == [Finding(0, 4, "PERSON", 0.85), card]


def test_the_longer_of_two_equals_wins():
    short, long = Finding(4, 8, "PERSON", 0.85), Finding(0, 8, "PERSON", 0.85)
    assert keep_apart("John Doe", [], [short, long]) == [long]


def test_findings_of_one_kind_that_overlap_are_one_with_the_higher_score():
    street, whole, other = (
        Finding(0, 9, "LOCATION", 0.8),
        Finding(5, 20, "LOCATION", 0.4),
        Finding(4, 9, "PERSON", 0.9),
    )
    apart = Finding(20, 25, "LOCATION", 0.3)
    assert merge_alike([whole, other, apart, street]) == [Finding(0, 20, "LOCATION", 0.8), apart, other]


@pytest.mark.parametrize("entity", ["LOCATION", "DATE_TIME", "AGE"])
def test_a_number_may_be_a_place_a_date_or_an_age(entity):
    finding = Finding(3, 7, entity, 0.9)
    assert list(trim_name("in 1977.", finding)) == [finding]


def test_many_findings_are_told_apart_in_little_work():
    # With every finding compared with every other this would be ten thousand million comparisons.
    count = 100_000
    findings = [Finding(2 * number, 2 * number + 1, "PERSON", 0.85) for number in range(count)]
    assert len(keep_apart("a " * count, [], findings)) == count


@pytest.mark.parametrize(
    ("name", "trimmed"),
    [
        ("Ada Lovelace's", ["Ada Lovelace"]),
        ("“Ada”,", ["Ada"]),
        ("(Ada", ["Ada"]),
        ("Ada\nGrace", ["Ada", "Grace"]),
        ("Ada'S", ["Ada"]),
        ("Dr. No", ["Dr. No"]),
        ("B52", []),
        ("A.", []),
        ("…", []),
        ("\n\n", []),
    ],
)
def test_a_name_is_trimmed_to_what_belongs_to_it(name, trimmed):
    text = f"So {name} it is"
    found = trim_name(text, Finding(3, 3 + len(name), "PERSON", 0.85))
    assert [text[finding.start : finding.end] for finding in found] == trimmed


@given(st.text(st.sampled_from("Ab '.-’s\n(😀"), min_size=1, max_size=30))
def test_trimming_stays_within_the_name(name):
    text = f"{name}{name}"
    for finding in trim_name(text, Finding(len(name), len(text), "PERSON", 0.85)):
        assert len(name) <= finding.start < finding.end <= len(text)


def test_the_findings_of_a_piece_in_terms_of_the_whole():
    assert shift([Finding(1, 3, "PERSON", 1.0)], 10) == [Finding(11, 13, "PERSON", 1.0)]
