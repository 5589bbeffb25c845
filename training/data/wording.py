"""What the rows of each task are called in front of their owner."""

from dataclasses import dataclass

from core.catalogue import Task


@dataclass(frozen=True, slots=True)
class Wording:
    """text, texts: what the model is given. answer, answers: what it gives back. label, labels: what is counted."""

    text: str
    texts: str
    answer: str
    answers: str
    label: str = "label"
    labels: str = "labels"


WORDING = {
    Task.CLASSIFICATION: Wording("text", "texts", "label", "labels"),
    Task.MULTI_LABEL: Wording("text", "texts", "set of labels", "sets of labels"),
    Task.TAGGING: Wording("text", "texts", "tagging", "taggings", "entity type", "entity types"),
    Task.CHAT: Wording("question", "questions", "answer", "answers"),
}
