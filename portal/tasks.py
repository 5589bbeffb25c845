"""What tasks are called in front of people, and what their rows and labels are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Flask

from core.catalogue import Task

_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class TaskWords:
    """A task's title, what it does in a sentence, and its nouns: one row, many, and what is counted in them."""

    title: str
    sentence: str
    row: str
    rows: str
    labels: str


WORDS = {
    Task.CLASSIFICATION: TaskWords("Classification", "Each text gets one label.", "text", "texts", "labels"),
    Task.MULTI_LABEL: TaskWords(
        "Multi-label classification", "Each text gets any number of labels.", "text", "texts", "labels"
    ),
    Task.TAGGING: TaskWords(
        "Entity tagging", "Entities are found in each text.", "text", "texts", "entity types"
    ),
    Task.CHAT: TaskWords(
        "Chat", "Conversations are answered in the style of yours.", "conversation", "conversations", "labels"
    ),
}


def words_of(task: Task | str) -> TaskWords:
    """The words for a task, given as itself or by its value."""
    return WORDS[Task(task)]


def as_messages(field: str) -> Sequence[Mapping[str, str]] | None:
    """A field of a file that holds a conversation as JSON, as messages for a page; None where it holds none."""
    try:
        values = json.loads(field)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or not all(_is_message(value) for value in values):
        return None
    return values


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and value.get("role") in _ROLES and isinstance(value.get("content"), str)


def init_app(app: Flask) -> None:
    """Give templates the filters `words_of` and `as_messages`, and `Task`."""
    app.jinja_env.filters.update(words_of=words_of, as_messages=as_messages)
    app.jinja_env.globals["Task"] = Task
