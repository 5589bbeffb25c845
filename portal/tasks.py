"""What tasks are called in front of people, and what their rows and labels are."""

from dataclasses import dataclass

from flask import Flask

from core.catalogue import Task


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


def init_app(app: Flask) -> None:
    """Give templates the filter `words_of`, and `Task`."""
    app.jinja_env.filters["words_of"] = words_of
    app.jinja_env.globals["Task"] = Task
