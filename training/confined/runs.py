"""One run of the recipe, and its data on the way to the process that does it."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Any

from core.catalogue import BaseModel, Task, get_base_model
from training.data.rows import Message
from training.recipe.data import (
    ChatData,
    ClassificationData,
    Conversation,
    Example,
    MultiLabelData,
    MultiLabelExample,
    TaggedExample,
    TaggingData,
    TrainingData,
)
from training.recipe.settings import FineTuneSettings

MAX_PAGE_BYTES = 1 << 20
SPLITS = ("train", "validation", "test")

_DATA: dict[Task, type[TrainingData[Any]]] = {
    data.task: data for data in (ClassificationData, MultiLabelData, TaggingData, ChatData)
}


class Kind(StrEnum):
    FINE_TUNE = "fine-tune"
    MEASURE = "measure"


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be done with which data, whose rows are let go of as they are sent. seed and checkpoint are a fine-tune's."""

    kind: Kind
    data: TrainingData[Any]
    settings: FineTuneSettings
    base: BaseModel
    seed: int = 0
    checkpoint: bytes | None = None

    def order(self) -> dict[str, Any]:
        """All but the rows and the checkpoint, which are asked for piece by piece, as JSON."""
        return {
            "kind": self.kind.value,
            "task": self.data.task.value,
            "labels": list(self.data.labels),
            "sizes": [len(split) for split in self.data.splits],
            "settings": self.settings.to_json(),
            "base": self.base.id,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class Order:
    """A Run's order where it is done."""

    kind: Kind
    task: Task
    labels: tuple[str, ...]
    sizes: tuple[int, ...]
    settings: FineTuneSettings
    base: BaseModel
    seed: int

    @classmethod
    def read(cls, order: dict[str, Any]) -> "Order":
        """From `Run.order()`."""
        return cls(
            Kind(order["kind"]),
            Task(order["task"]),
            tuple(order["labels"]),
            tuple(order["sizes"]),
            FineTuneSettings.from_json(order["settings"]),
            get_base_model(order["base"]),
            order["seed"],
        )

    def data(self, splits: Sequence[Sequence[Any]]) -> TrainingData[Any]:
        """The training data of these examples."""
        train, validation, test = splits
        return _DATA[self.task](self.labels, train, validation, test)


def take_page(examples: list[Any], start: int) -> tuple[bytes, int]:
    """The examples from number `start` on, at least one where there is one, as many as a page holds; and the number after
    them. They are let go of: a large data set is not to be in memory twice."""
    lines: list[bytes] = []
    size = 0
    for number in range(start, len(examples)):
        # Escaped, since half of a surrogate pair, which a text may hold, has no bytes of its own.
        lines.append(json.dumps(astuple(examples[number]), separators=(",", ":")).encode())
        examples[number] = None
        size += len(lines[-1])
        if size >= MAX_PAGE_BYTES:
            break
    return b"[" + b",".join(lines) + b"]", start + len(lines)


def read_page(task: Task, data: bytes) -> list[Any]:
    """The examples of a page."""
    return [_example(task, values) for values in json.loads(data)]


def _example(task: Task, values: list[Any]) -> Example | MultiLabelExample | TaggedExample | Conversation:
    match task:
        case Task.CLASSIFICATION:
            return Example(*values)
        case Task.MULTI_LABEL:
            text, labels, row = values
            return MultiLabelExample(text, tuple(labels), row)
        case Task.TAGGING:
            tokens, tags, row = values
            return TaggedExample(tuple(tokens), tuple(tags), row)
        case Task.CHAT:
            messages, row = values
            return Conversation(tuple(Message(*message) for message in messages), row)
