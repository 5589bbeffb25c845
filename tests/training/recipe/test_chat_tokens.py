"""Conversations as the chat model reads them: its template, what it is to say, and what is cut off."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.recipe.tiny_chat import CHAT, SYSTEM, chats
from training.data.rows import Message
from training.recipe.chat.packing import cut, pack
from training.recipe.chat.tokens import ChatTokenizer, TokenizedChat, TokenizedChats
from training.recipe.data import Conversation


@pytest.fixture(scope="module")
def tokenizer() -> ChatTokenizer:
    return ChatTokenizer(CHAT)


def tokenized(tokenizer: ChatTokenizer, *messages: Message) -> TokenizedChats:
    split, left_out = tokenizer.tokenize([Conversation(messages, 1)], lambda _: None)
    assert not left_out
    return split


def test_a_conversation_is_read_by_the_bases_own_template(tokenizer):
    [conversation] = chats(train=0, validation=0, test=1).test
    messages = [{"role": message.role, "content": message.content} for message in conversation.messages]
    split = tokenized(tokenizer, *conversation.messages)
    rendered = tokenizer.tokenizer.apply_chat_template(messages)["input_ids"]
    # The line break behind the last turn is nobody's to read or say.
    assert split.ids.tolist() == rendered[:-1]
    prompt = tokenizer.tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True)["input_ids"]
    assert tokenizer.prompt(conversation.messages[:-1]) == prompt


def test_the_assistants_turns_are_said_with_the_mark_that_ends_them(tokenizer):
    split = tokenized(
        tokenizer,
        Message("user", "One?"),
        Message("assistant", "First."),
        Message("user", "Two?"),
        Message("assistant", "Second."),
    )
    said = tokenizer.tokenizer.decode(split.ids[split.is_said].tolist())
    assert said == "First.<|im_end|>Second.<|im_end|>"


def test_a_long_conversation_loses_its_oldest_turns_and_keeps_the_system_prompt(tokenizer):
    turns = [
        Message(role, f"{number} " + "word " * 500) for number in range(4) for role in ("user", "assistant")
    ]
    split = tokenized(tokenizer, SYSTEM, *turns)
    text = tokenizer.tokenizer.decode(split.ids.tolist())
    assert split.tokens <= CHAT.max_length
    assert SYSTEM.content in text
    assert "\n3 word" in text
    assert "\n0 word" not in text


def test_what_all_rows_begin_with_ends_before_anything_is_said(tokenizer):
    same = [
        Conversation((Message("user", "Hm?"), Message("assistant", answer)), 1) for answer in ("No.", "No!")
    ]
    split, _ = tokenizer.tokenize(same, lambda _: None)
    assert split.shared == len(tokenizer.prompt(same[0].messages[:1]))


ROWS = st.lists(
    st.tuples(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(1, 4)), min_size=1, max_size=9
)


@given(ROWS, st.integers(1, 30))
def test_packs_hold_every_row_once_and_within_the_budget(rows, budget):
    split = TokenizedChats.of(
        [
            TokenizedChat(
                np.array([7, 7, *asked, *[9] * said], dtype=np.int32),
                np.array([False] * (2 + len(asked)) + [True] * said),
                number,
            )
            for number, (asked, said) in enumerate(rows)
        ]
    )
    pieces = list(cut(np.arange(len(split)), split, budget))
    assert np.concatenate(pieces).tolist() == list(range(len(split)))
    for piece in pieces:
        packed = pack(split, piece, torch.device("cpu"))
        assert len(piece) == 1 or len(packed.tokens) <= budget
        assert len(packed.targets) == split.said_by_row[piece].sum()
        assert (packed.targets == 9).all()
        # What comes before a token to be said is at the place before it.
        positions = packed.layout.positions[0]
        said = np.concatenate(
            [np.flatnonzero(split.is_said[split.starts[i] : split.starts[i + 1]]) for i in piece]
        )
        assert positions[packed.layout.before].tolist() == (said - 1).tolist()
        # Each token sees as many as its place says.
        assert (packed.layout.mask[0, 0].sum(1) == positions + 1).all()
