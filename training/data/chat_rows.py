"""Uploaded rows for chat: conversations as in OpenAI's fine-tuning files, or a question and its answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.data.columns import ColumnMapping, Split
from training.data.errors import DataError
from training.data.normalise import clean_text
from training.data.rows import Message
from training.data.table import Table, cell, clean
from training.data.uploaded import Gap, check_text, raw_fields

MAX_MESSAGES = 200
SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_ROLES = (SYSTEM, USER, ASSISTANT)
_TOOLS = ("tools", "functions")
_CALLS = ("tool_calls", "function_call")


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """See UploadedRow. The last message is the assistant's; contents may be empty."""

    number: int
    messages: tuple[Message, ...]
    split: Split | None

    @property
    def gap(self) -> Gap:
        if not self.text.strip():
            return Gap.TEXT
        is_whole = all(one.content for one in self.messages if one.role == ASSISTANT)
        return Gap.NONE if is_whole else Gap.ANSWER

    @property
    def text(self) -> str:
        return self._said_by(USER)

    @property
    def question(self) -> str:
        return self._said_by(SYSTEM, USER)

    @property
    def answer(self) -> str:
        return self._said_by(ASSISTANT)

    @property
    def shown(self) -> str:
        return ""

    @property
    def mentions(self) -> tuple[str, ...]:
        return ()

    @property
    def characters(self) -> int:
        return sum(len(one.content) for one in self.messages)

    @property
    def turns(self) -> int:
        return sum(one.role != SYSTEM for one in self.messages)

    @property
    def pieces(self) -> tuple[tuple[str, ...], ...]:
        return tuple((one.content,) for one in self.messages)

    def with_pieces(self, pieces: Sequence[tuple[str, ...]]) -> "ConversationRow":
        messages = (Message(one.role, words[0]) for one, words in zip(self.messages, pieces, strict=True))
        return replace(self, messages=tuple(messages))

    def values(self) -> dict[str, Any]:
        return {"messages": [{"role": one.role, "content": one.content} for one in self.messages]}

    def _said_by(self, *roles: str) -> str:
        return "\n".join(one.content for one in self.messages if one.role in roles)


def read(table: Table, mapping: ColumnMapping) -> Iterator[ConversationRow]:
    """The rows of `table`. Raises DataError at the first one that cannot be used."""
    for number, split, text, label, tools in raw_fields(table, mapping, _TOOLS):
        if any(tools):
            raise DataError(
                f"Row {number} offers tools, which models here cannot call. Leave out conversations with tools."
            )
        if mapping.label is None:
            messages = _conversation(text, mapping.text, number)
        else:
            question, answer = cell(text, mapping.text, number), cell(label, mapping.label, number)
            messages = (Message(USER, clean_text(question)), Message(ASSISTANT, clean_text(answer)))
        row = ConversationRow(number, messages, split)
        check_text(row.characters, number, "conversation")
        yield row


def _conversation(value: Any, column: str, number: int) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise DataError(
            f"Row {number} has no list of messages in “{column}”. Write "
            '[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}].'
        )
    if len(value) > MAX_MESSAGES:
        raise DataError(f"Row {number} has {len(value):,} messages; {MAX_MESSAGES} is the most. Split it.")
    messages = tuple(
        _message(one, f"Row {number}, message {position}") for position, one in enumerate(value, 1)
    )
    roles = [one.role for one in messages]
    if USER not in roles:
        raise DataError(f"Row {number} has no message of the user. Write what is asked before the answer.")
    if roles[-1] != ASSISTANT:
        raise DataError(
            f"Row {number} does not end with a message of the assistant. "
            "End every conversation with an answer to learn from."
        )
    return messages


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise DataError(f'{where} is not an object. Write {{"role": "…", "content": "…"}}.')
    role = value.get("role")
    if role in ("tool", "function") or any(value.get(name) for name in _CALLS):
        raise DataError(f"{where} calls a tool or is a tool's, which models here cannot. Leave the row out.")
    if role not in _ROLES:
        raise DataError(f"{where} has a role that is none of system, user and assistant. Correct its role.")
    if role == ASSISTANT and value.get("weight") == 0:
        raise DataError(
            f"{where} has the weight 0: every answer is learnt from here. Leave the message or the row out."
        )
    return Message(role, clean_text(_content(value.get("content"), where)))


def _content(value: Any, where: str) -> str:
    """The message's text; parts of text make one. Raises DataError for pictures and whatever else there is."""
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list) and all(_is_text(part) for part in value):
        return clean("\n".join(part["text"] for part in value))
    raise DataError(f"{where} holds something else than text. Leave out rows with pictures, sound or files.")


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
