"""Values come back into an answer however it is cut into pieces, and nothing comes that the request did not have."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.privacy.numbers import Numbering
from core.privacy.placeholders import escape
from core.privacy.restore import Restorer

VALUES = {
    "[PERSON_1]": "Ada Lovelace",
    "[PERSON_11]": "Grace Hopper",
    "[EMAIL_ADDRESS_1]": "ada@example.com",
    "Dana": "Ida",
    "Dana Kessler": "Ida Rhodes",
    "9159 1958": "4012 8888",
}
parts = st.sampled_from(
    [
        *VALUES,
        *(
            "[PERSON_2]",
            "[PERSON",
            "[PERSON_",
            "[~PERSON_1]",
            "[~~PERSON_1]",
            "[~PERSON_ABCDEFGH]",
            "[[",
            "[~",
            "]",
        ),
        *(
            "Dan",
            "Danaan",
            "Dana K",
            "Dana Kesslers",
            "xDana",
            " ",
            "1",
            "é",
            "[CUSTOM_99999]",
            "[" + "A" * 45,
        ),
    ]
)
answers = st.lists(parts | st.text(max_size=3), max_size=12).map("".join)


def restored(pieces, values=VALUES) -> str:
    return "".join(Restorer(values).restore(pieces))


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(answers, st.data())
def test_a_cut_answer_is_restored_like_a_whole_one(text, data):
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=10)) if text else []
    assert restored(cut(text, places)) == restored([text])
    assert restored(list(text)) == restored([text])


def test_a_hundred_thousand_cuttings_give_the_same_text_in_bounded_time():
    text = "Dear [PERSON_1], [PERSON_11] ([~PERSON_1], Dana Kessler, Danaan) of [PERSON_7] wrote to [EMAIL_ADDRESS_1]"
    whole = restored([text])
    chance = random.Random(5)
    started = time.process_time()
    for _ in range(100_000):
        places = chance.choices(range(len(text) + 1), k=chance.randrange(6))
        assert restored(cut(text, places)) == whole
    assert time.process_time() - started < 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello [PERSON_1]!", "Hello Ada Lovelace!"),
        ("[PERSON_11] and [PERSON_1]", "Grace Hopper and Ada Lovelace"),
        (
            "[PERSON_2], [PHONE_NUMBER_1] and [PERSON_ABCDEFGH]",
            "[PERSON_2], [PHONE_NUMBER_1] and [PERSON_ABCDEFGH]",
        ),
        ("[~PERSON_1] is text", "[PERSON_1] is text"),
        ("Dana Kessler, Dana and Danaan", "Ida Rhodes, Ida and Danaan"),
        ("[[PERSON_1]", "[Ada Lovelace"),
        ("[PERSON_1", "[PERSON_1"),
    ],
)
def test_what_an_answer_becomes(text, expected):
    assert restored([text]) == restored(text) == expected


@given(answers)
def test_a_model_that_invents_placeholders_gets_nobodys_values(text):
    assert restored([text], {}) == restored(text, {})
    assert not any(value in restored([text], {}) for value in VALUES.values())


@given(answers)
def test_what_a_tenant_writes_itself_comes_back_as_it_was(text):
    assert restored([escape(text)], {}) == text
    assert restored(escape(text), {"[PERSON_1]": "Ada Lovelace"}) == text


def test_a_restored_value_is_not_read_again():
    assert restored(["[PERSON_1]"], {"[PERSON_1]": "[PERSON_2]", "[PERSON_2]": "Grace"}) == "[PERSON_2]"


def test_a_placeholder_waits_no_longer_than_it_must():
    restorer = Restorer(VALUES)
    assert [restorer.feed(piece) for piece in ("Hi [", "PERSON_", "1", "] an", "d")] == [
        "Hi ",
        "",
        "",
        "Ada Lovelace an",
        "d",
    ]


def test_an_answer_full_of_beginnings_takes_time_in_proportion_to_its_length():
    started = time.process_time()
    restored(["[~" * 100, "[PERSON_" * 100] * 300)
    assert time.process_time() - started < 5


def test_placeholders_are_numbered_by_kind_as_they_come_up():
    numbering = Numbering()
    assert (
        numbering.number("[PERSON_ABCDEFGH] [URL_ABCDEFGH] [PERSON_BBCDEFGH]")
        == "[PERSON_1] [URL_1] [PERSON_2]"
    )
    assert numbering.number("[PERSON_BBCDEFGH] [~PERSON_ABCDEFGH]") == "[PERSON_2] [~PERSON_ABCDEFGH]"
