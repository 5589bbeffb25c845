"""Conversations as a chat model reads them: its own template, its own tokens, and which of them it is to say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from core.catalogue import BaseModel
from training.data.rows import Message
from training.recipe.data import Conversation
from training.recipe.tokens import Ids, Indexes

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TokenizedChats:
    """A split's conversations, one behind the other.

    ids: [tokens]; is_said: [tokens], those of the assistant's turns, which the loss is on; starts: [rows + 1], where
    each row begins; rows: [rows], their numbers in the file; shared: how many tokens all rows begin with alike, none
    of them said.
    """

    ids: Ids
    is_said: Flags
    starts: Indexes
    rows: Indexes
    shared: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Indexes:
        """The number of tokens in each row."""
        return np.diff(self.starts)

    @property
    def tokens(self) -> int:
        return len(self.ids)

    def branch_tokens(self, indexes: Indexes) -> int:
        """The tokens of the rows at `indexes` without what all rows begin with."""
        return int(self.lengths[indexes].sum()) - self.shared * len(indexes)

    @property
    def all_branch_tokens(self) -> int:
        return self.tokens - self.shared * len(self)

    @property
    def said(self) -> int:
        """Tokens that the loss is on."""
        return int(self.is_said.sum())

    @property
    def said_by_row(self) -> Indexes:
        """[rows], how many tokens of each the loss is on."""
        return np.add.reduceat(self.is_said.astype(np.int64), self.starts[:-1])

    @classmethod
    def of(cls, rows: Sequence["TokenizedChat"]) -> "TokenizedChats":
        return cls(
            ids=np.concatenate([row.ids for row in rows]) if rows else np.zeros(0, dtype=np.int32),
            is_said=np.concatenate([row.is_said for row in rows]) if rows else np.zeros(0, dtype=np.bool_),
            starts=np.fromiter(accumulate((len(row.ids) for row in rows), initial=0), dtype=np.int64),
            rows=np.fromiter((row.row for row in rows), dtype=np.int64),
            shared=_shared(rows),
        )

    def take(self, indexes: Indexes) -> "TokenizedChats":
        """The rows at `indexes`, in that order."""
        spans = [slice(self.starts[i], self.starts[i + 1]) for i in indexes]
        return TokenizedChats.of(
            [
                TokenizedChat(self.ids[span], self.is_said[span], int(self.rows[i]))
                for span, i in zip(spans, indexes, strict=True)
            ]
        )


@dataclass(frozen=True, slots=True)
class TokenizedChat:
    """One conversation: its ids, which of them the assistant is to say, and its row in the file."""

    ids: Ids
    is_said: Flags
    row: int


class ChatTokenizer:
    """A base model's own tokenizer and chat template."""

    def __init__(self, base: BaseModel) -> None:
        """Raises BaseModelUnavailable where the model's files are not installed."""
        self._max_length = base.max_length
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(base.folder()), local_files_only=True
        )

    def tokenize(
        self, conversations: Sequence[Conversation], beat: Callable[[int], None]
    ) -> tuple[TokenizedChats, list[int]]:
        """`conversations` as token ids, and the rows that are left out; `beat` is told of each row.

        One that is longer than the model reads loses its oldest turns behind the system prompt; one whose last
        question and answer alone are too long is left out.
        """
        rows, left_out = [], []
        for conversation in conversations:
            messages = self.shorten(conversation.messages)
            if messages is None:
                left_out.append(conversation.row)
            else:
                rows.append(TokenizedChat(*self._tokenize(messages), conversation.row))
            beat(1)
        return TokenizedChats.of(rows), left_out

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The ids that the model reads before it answers `messages`."""
        return self.encode(self._render(messages, answers=True))

    @property
    def end(self) -> int:
        """The id of the mark that ends a turn."""
        end: int = self.tokenizer.eos_token_id
        return end

    def text(self, ids: list[int]) -> str:
        """What `ids` say, without marks."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def shorten(self, messages: Sequence[Message]) -> list[Message] | None:
        """`messages` without the oldest turns, as far as the model cannot read them all; None where it still cannot."""
        kept = list(messages)
        first = 1 if kept[0].role == "system" else 0
        while any(message.role == "assistant" for message in kept):
            if len(self._tokenize(kept)[0]) <= self._max_length:
                return kept
            users = (index for index in range(first + 1, len(kept)) if kept[index].role == "user")
            del kept[first : next(users, len(kept))]
        return None

    def _tokenize(self, messages: Sequence[Message]) -> tuple[Ids, Flags]:
        """Ids, and which of them the assistant says: its contents with the mark that ends a turn.

        Each answer is made into tokens by itself, behind a prompt that is exactly what the model reads when asked.
        """
        ids: list[int] = []
        is_said: list[bool] = []
        done = 0
        for index, message in enumerate(messages):
            if message.role != "assistant":
                continue
            prompt = self._render(messages[:index], answers=True)
            answer = self._render(messages[: index + 1], answers=False)
            # The template ends a turn with a line break behind the mark; nobody is to say that one.
            end = answer.rindex(self._end) + len(self._end)
            for text, said in ((prompt[done:], False), (answer[len(prompt) : end], True)):
                part = self.encode(text)
                ids += part
                is_said += [said] * len(part)
            done = end
        return np.array(ids, dtype=np.int32), np.array(is_said, dtype=np.bool_)

    @property
    def _end(self) -> str:
        return str(self.tokenizer.eos_token)

    def _render(self, messages: Sequence[Message], *, answers: bool) -> str:
        rendered = self.tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.content} for message in messages],
            tokenize=False,
            add_generation_prompt=answers,
        )
        return str(rendered)

    def encode(self, text: str) -> list[int]:
        """`text` as ids, without marks."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids


def _shared(rows: Sequence[TokenizedChat]) -> int:
    """How many tokens all rows begin with alike, before any that is said."""
    if not rows:
        return 0
    first = rows[0].ids
    shared = len(first)
    for row in rows:
        shared = min(shared, int(row.is_said.argmax()))
        different = np.flatnonzero(first[:shared] != row.ids[:shared])
        if len(different):
            shared = int(different[0])
    return shared
