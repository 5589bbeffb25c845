"""What a file's rows are labeled for, and which columns hold their text, label and split."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from core.catalogue import Task
from training.data.errors import DataError


class Split(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SPLIT_VALUES = {
    **dict.fromkeys(("train", "training", "tr"), Split.TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), Split.VALIDATION),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "heldout", "holdout", "held-out"), Split.TEST),
}


SEPARATORS = {"|": "vertical bar", ";": "semicolon", ",": "comma", " ": "space"}
"""What may stand between several labels in one field of a table."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What the rows are labeled for, and the columns that hold their parts.

    text: the texts; for tagging their tokens; for chat whole conversations or, with `label`, the questions.
    label: the label or labels; for tagging the tags; for chat the answers, None where `text` holds both.
    split: the split, where the file has its own. separator: between several labels in one field.
    """

    text: str
    label: str | None
    split: str | None = None
    task: Task = Task.CLASSIFICATION
    separator: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are read: text, label if there is one, split if there is one."""
        return [column for column in (self.text, self.label, self.split) if column is not None]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ColumnMapping":
        return cls(value["text"], value["label"], value["split"], Task(value["task"]), value["separator"])


def read_split(value: str, number: int) -> Split:
    """The split that row `number` says it is in. Raises DataError."""
    try:
        return SPLIT_VALUES[value.strip().lower()]
    except KeyError:
        raise DataError(
            f"Row {number} is in none of the splits train, validation and test. "
            "Correct its split, or choose no split column to have the rows split for you."
        ) from None
