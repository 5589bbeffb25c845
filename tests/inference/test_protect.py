"""What the model reads at inference is what it read in training."""

from uuid import UUID

import pytest

from core.crypto import TenantKey
from core.privacy.entities import DEFAULT_POLICY
from core.privacy.pseudonymise import generalise
from core.privacy.types import Policy
from inference.gateway.prediction import Replacement
from inference.gateway.protect import protect
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
    ],
    ids=["default", "allow-list", "off"],
)
def test_a_text_is_read_alike_in_training_and_at_inference(policy):
    stored = Protector(KEY, policy).texts(TEXTS)
    assert [protected.text for protected in protect(TEXTS, policy, KEY)] == [
        generalise(text) for text in stored
    ]


def test_what_was_replaced_is_told_in_characters_of_the_text_as_it_came():
    (protected,) = protect(["😀 Write to jane@example.com"], DEFAULT_POLICY, KEY)
    assert protected.text == "😀 Write to [EMAIL_ADDRESS]"
    assert protected.replacements == (Replacement(11, 27, "EMAIL_ADDRESS"),)


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
