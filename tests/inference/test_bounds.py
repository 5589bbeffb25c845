"""Bounds that budgets reserve: no text has more tokens, whatever is in it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from core.catalogue import DEFAULT_BASE_MODEL, DEFAULT_CHAT_MODEL, get_base_model
from core.models.usage import UsageKind
from inference.gateway.bounds import chat_bound, texts_bound
from inference.pool.chat.prompts import Prompts

TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=st.characters(categories=["So", "Mn", "Lo", "Sk"]), max_size=60),
    st.text(alphabet="a1!? İﬁΐ가ﷺ\u0301<|im_start|>[CLS]", max_size=60),
)


@pytest.fixture(scope="module")
def encoder() -> Tokenizer:
    return Tokenizer.from_file(str(get_base_model(DEFAULT_BASE_MODEL).folder() / "tokenizer.json"))


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts.load(DEFAULT_CHAT_MODEL)


@settings(deadline=None, max_examples=200)
@given(text=TEXTS)
def test_no_text_has_more_tokens_than_its_bound(encoder, text):
    encoder.no_padding()
    encoder.no_truncation()
    assert len(encoder.encode(text).ids) <= texts_bound([text], DEFAULT_BASE_MODEL)[UsageKind.PREDICTION]


@settings(deadline=None, max_examples=200)
@given(contents=st.lists(TEXTS, min_size=1, max_size=4), has_system=st.booleans())
def test_no_conversation_has_more_tokens_than_its_bound(prompts, contents, has_system):
    roles = ["system" if has_system else "user", "user", "assistant", "user"]
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    bound = chat_bound(contents, None, DEFAULT_CHAT_MODEL)[UsageKind.CHAT_INPUT]
    assert len(prompts.encode(messages)) <= bound


def test_a_bound_is_never_more_than_the_models_window():
    assert texts_bound(["a" * 10_000] * 3, DEFAULT_BASE_MODEL) == {UsageKind.PREDICTION: 3 * 256}
    window = get_base_model(DEFAULT_CHAT_MODEL).max_length
    assert chat_bound(["a" * 10_000], 10**6, DEFAULT_CHAT_MODEL) == {
        UsageKind.CHAT_INPUT: window,
        UsageKind.CHAT_OUTPUT: window,
    }
