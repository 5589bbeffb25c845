"""Stored rows, one kind for each task: pseudonymised, in one split each, a line of JSON in the version's blob."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.catalogue import Task
from training.data.columns import Split


@dataclass(frozen=True, slots=True)
class TextRow:
    """A text and its one label; `row` is its number in the file, from 1."""

    row: int
    text: str
    label: str
    split: Split


@dataclass(frozen=True, slots=True)
class MultiLabelRow:
    """A text and its labels, sorted; there may be none of them."""

    row: int
    text: str
    labels: tuple[str, ...]
    split: Split


@dataclass(frozen=True, slots=True)
class TaggedRow:
    """Tokens and their BIO tags, as many of each."""

    row: int
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    split: Split

    @property
    def text(self) -> str:
        """The tokens with spaces between."""
        return " ".join(self.tokens)


@dataclass(frozen=True, slots=True)
class Message:
    """What one side of a conversation says; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A conversation; its last message is the assistant's."""

    row: int
    messages: tuple[Message, ...]
    split: Split


StoredRow = TextRow | MultiLabelRow | TaggedRow | ChatRow


def encode(values: Mapping[str, Any]) -> bytes:
    """A row's values as its line in a blob."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def decode(task: Task, line: bytes) -> StoredRow:
    """The row of `task` that `encode` made `line` of."""
    values = json.loads(line)
    row, split = values["row"], Split(values["split"])
    match task:
        case Task.CLASSIFICATION:
            return TextRow(row, values["text"], values["label"], split)
        case Task.MULTI_LABEL:
            return MultiLabelRow(row, values["text"], tuple(values["labels"]), split)
        case Task.TAGGING:
            return TaggedRow(row, tuple(values["tokens"]), tuple(values["tags"]), split)
        case Task.CHAT:
            messages = tuple(Message(one["role"], one["content"]) for one in values["messages"])
            return ChatRow(row, messages, split)
