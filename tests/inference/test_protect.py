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
