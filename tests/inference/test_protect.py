"""What the model reads at inference is what it read in training."""

from uuid import UUID

import pytest

from core.crypto import TenantKey
from core.privacy.entities import DEFAULT_POLICY
from core.privacy.numbers import Numbering
from core.privacy.pseudonymise import generalise
from core.privacy.types import Operator, Policy
from inference.gateway.prediction import Replacement
from inference.gateway.protect import protect, protect_together
from training.data.personal import Protector

KEY = TenantKey(UUID(int=1), b"k" * 32)
TEXTS = [
    "Ring Jane Smith on +44 20 7946 0018, or write to jane@example.com",
    "Nothing personal in here",
    "[PERSON_ABCDEFGH] and [~PERSON_ABCDEFGH] and [PERSON] met John Smith",
    "😀 ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
]


@pytest.mark.parametrize(
    "policy",
    [
        DEFAULT_POLICY,
        Policy(DEFAULT_POLICY.entities, frozenset({"Jane Smith"})),
        Policy(DEFAULT_POLICY.entities, enabled=False),
        *(
            Policy(DEFAULT_POLICY.entities, operators=dict.fromkeys(DEFAULT_POLICY.entities, operator))
            for operator in Operator
        ),
        Policy(DEFAULT_POLICY.entities, deny_list=frozenset({"nothing"})),
    ],
    ids=["default", "allow-list", "off", *Operator, "deny-list"],
)
def test_a_text_is_read_alike_in_training_and_at_inference(policy):
    stored = Protector(KEY, policy).texts(TEXTS)
    assert [protected.text for protected in protect(TEXTS, policy, KEY)] == [
        generalise(text) for text in stored
    ]


def test_what_was_replaced_is_told_in_characters_of_the_text_as_it_came():
    (protected,) = protect(["😀 Write to jane@example.com"], DEFAULT_POLICY, KEY)
    assert protected.text == "😀 Write to [EMAIL_ADDRESS]"
    assert protected.replacements == (Replacement(11, 27, "EMAIL_ADDRESS", "[EMAIL_ADDRESS]", 11),)


@pytest.mark.parametrize("operator", Operator)
def test_where_a_replacement_stands_in_what_the_model_reads_is_told(operator):
    policy = Policy(DEFAULT_POLICY.entities, operators=dict.fromkeys(DEFAULT_POLICY.entities, operator))
    text = "[PERSON_ABCDEFGH] met ada@example.com, then jane@example.com"
    (protected,) = protect([text], policy, KEY)
    together = protect_together([text], policy, KEY)
    for read, replacements in (
        (protected.text, protected.replacements),
        (together.contents[0], together.replacements[0]),
    ):
        assert [text[one.start : one.end] for one in replacements] == ["ada@example.com", "jane@example.com"]
        for one in replacements:
            assert read[one.read_start : one.read_end] == one.stands


def test_a_policy_that_is_off_replaces_nothing():
    (protected,) = protect(TEXTS[:1], Policy(DEFAULT_POLICY.entities, enabled=False), KEY)
    assert (protected.text, protected.replacements) == (TEXTS[0], ())


def test_what_the_model_reads_is_found_again_in_the_text_as_it_came():
    text = "[PERSON_ABCDEFGH] met Jane Smith, or write to jane@example.com; bye"
    (protected,) = protect([text], DEFAULT_POLICY, KEY)
    for word in ("met", ", or write to ", "; bye", "PERSON_ABCDEFGH]"):
        start = protected.text.index(word)
        found = protected.original_span(start, start + len(word))
        assert text[slice(*found)] == word, word
    for replaced, original in (("[PERSON]", "Jane Smith"), ("[EMAIL_ADDRESS]", "jane@example.com")):
        start = protected.text.index(replaced)
        for part in ((0, len(replaced)), (1, len(replaced) - 1), (1, 3)):
            found = protected.original_span(start + part[0], start + part[1])
            assert text[slice(*found)] == original, part
    start, end = protected.text.index("met"), protected.text.index("[PERSON]") + 1
    assert text[slice(*protected.original_span(start, end))] == "met Jane Smith"


def test_a_text_that_nothing_was_replaced_in_is_found_where_it_is():
    policy = Policy(DEFAULT_POLICY.entities, enabled=False)
    text = "[PERSON_ABCDEFGH] met Ada"
    (protected,) = protect([text], policy, KEY)
    assert protected.text == "[PERSON] met Ada"
    assert protected.original_span(0, 8) == (0, 17)
    assert text[slice(*protected.original_span(13, 16))] == "Ada"


@pytest.mark.parametrize("operator", Operator)
def test_a_conversation_is_read_alike_in_training_and_at_inference(operator):
    policy = Policy(DEFAULT_POLICY.entities, operators={"PERSON": operator})
    number = Numbering().number
    stored = Protector(KEY, policy).texts(TEXTS)
    assert protect_together(TEXTS, policy, KEY).contents == tuple(map(number, stored))


def answer(policy, said: str, *contents: str) -> str:
    return "".join(protect_together(contents, policy, KEY).restorer()(said))


def test_an_answer_has_the_first_spelling_of_each_value_and_nobody_elses():
    chat = protect_together(
        ["I am Jane Smith.", "jane smith met John Miller, jane@example.com"], DEFAULT_POLICY, KEY
    )
    assert chat.values["[PERSON_1]"] == "Jane Smith"
    assert "".join(chat.restorer()(["[PERS", "ON_1] is not [PERSON_99]"])) == "Jane Smith is not [PERSON_99]"


def test_a_surrogate_comes_back_as_its_value_unless_the_chat_speaks_of_it_itself():
    policy = Policy(DEFAULT_POLICY.entities, operators={"PERSON": Operator.SURROGATE})
    chat = protect_together(["Ask Jane Smith."], policy, KEY)
    (surrogate,) = chat.values
    assert chat.contents == (f"Ask {surrogate}.",)
    assert answer(policy, f"I asked {surrogate}.", "Ask Jane Smith.") == "I asked Jane Smith."
    also = (f"Ask Jane Smith and {surrogate}.",)
    assert "Jane Smith" not in answer(policy, f"I asked {surrogate}.", *also)


@pytest.mark.parametrize("operator", [Operator.MASK, Operator.HASH, Operator.DROP])
def test_what_is_covered_for_good_does_not_come_back(operator):
    policy = Policy(DEFAULT_POLICY.entities, operators={"PERSON": operator})
    chat = protect_together(["Ask Jane Smith."], policy, KEY)
    assert chat.values == {}
    assert "".join(chat.restorer()(list(chat.contents))) == chat.contents[0]


def test_a_policy_that_is_off_leaves_a_chat_as_it_is_both_ways():
    off = Policy(DEFAULT_POLICY.entities, enabled=False)
    said = "[~PERSON_1] and [PERSON_1], Jane Smith"
    assert protect_together([said], off, KEY).contents == (said,)
    assert answer(off, said, said) == said


def test_a_stop_string_is_covered_as_the_model_writes_it():
    chat = protect_together(["I am Jane Smith."], DEFAULT_POLICY, KEY)
    assert chat.cover("Jane Smith:") == "[PERSON_1]:"
    assert chat.cover("Jane Smithers") == "Jane Smithers"
    assert chat.cover("[PERSON_1]") == "[~PERSON_1]"
