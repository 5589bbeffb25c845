"""Text comes in pieces that join to the whole, and no piece holds the beginning of a stop string."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from inference.pool.chat.prompts import Prompts
from inference.pool.chat.text import StopFilter, TokenDecoder, token_bytes
from tests.inference.chat.references import REAL

VOCABULARY = 49152
TOKENIZER = Tokenizer.from_file(str(REAL.folder() / "tokenizer.json"))
TABLE = token_bytes(TOKENIZER, VOCABULARY)


def pieces(tokens: Sequence[int]) -> list[str]:
    decoder = TokenDecoder(TABLE)
    return [*(decoder.push(token) for token in tokens), decoder.flush()]


@given(st.lists(st.integers(0, VOCABULARY - 1), max_size=40))
def test_pieces_of_any_tokens_join_to_what_the_whole_decodes_to(tokens: list[int]) -> None:
    assert "".join(pieces(tokens)) == TOKENIZER.decode(tokens, skip_special_tokens=True)


@given(st.text(max_size=60))
def test_pieces_of_any_text_join_to_it(text: str) -> None:
    tokens = TOKENIZER.encode(text, add_special_tokens=False).ids
    whole = TOKENIZER.decode(tokens, skip_special_tokens=True)
    assert "".join(pieces(tokens)) == whole
    assert "�" in whole or not any("�" in piece for piece in pieces(tokens))


def test_a_character_of_several_tokens_comes_whole() -> None:
    tokens = TOKENIZER.encode("日本語 🦜!", add_special_tokens=False).ids
    assert len(tokens) > 6
    assert [piece for piece in pieces(tokens) if piece] == ["日", "本", "語", " ", "🦜", "!"]


def sent(chunks: Sequence[str], stops: Sequence[str]) -> tuple[list[str], bool]:
    """What a filter lets through of `chunks`, and whether it stopped."""
    stop_filter = StopFilter(stops)
    out = []
    for chunk in chunks:
        piece, stopped = stop_filter.push(chunk)
        out.append(piece)
        if stopped:
            return out, True
    return [*out, stop_filter.flush()], False


@given(
    st.lists(st.text("ab", max_size=4), max_size=12),
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_text_is_cut_at_the_first_stop_string_and_nothing_of_it_is_sent(
    chunks: list[str], stops: list[str]
) -> None:
    out, stopped = sent(chunks, stops)
    text = "".join(chunks)
    assert stopped == any(stop in text for stop in stops)
    if not stopped:
        assert "".join(out) == text
    assert not any(stop in "".join(out) for stop in stops)
    # Of what had come, nothing was sent that a stop string might have begun with.
    for count in range(1, len(out)):
        came, was_sent = "".join(chunks[:count]), "".join(out[:count])
        for stop in stops:
            for length in range(1, len(stop)):
                assert not came.endswith(stop[:length]) or len(was_sent) <= len(came) - length


def test_what_cannot_become_a_stop_string_is_sent_at_once() -> None:
    assert sent(["one <", "b", "> two <", "/s", ">", " three"], ["</s>"]) == (
        ["one ", "<b", "> two ", "", ""],
        True,
    )
    assert sent(["one <", "/"], ["</s>"]) == (["one ", "", "</"], False)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Hello!"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " spaces \n kept "}],
        [
            {"role": "user", "content": "1 {{ 2 }} {% if %}"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "日本語"},
        ],
    ],
)
def test_a_conversation_is_read_as_transformers_reads_it(messages: list[dict[str, str]]) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(REAL.folder())
    text = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert Prompts.load(REAL.id).encode(messages) == theirs.encode(text, add_special_tokens=False)
