"""What a fine-tune reads: a dataset version's rows by split, for each task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from core.catalogue import Task
from training.data.rows import Message
from training.recipe.errors import RecipeError

E = TypeVar("E")

_NO_TEST = "The test split is empty, so nobody could say how good the model is. "


@dataclass(frozen=True, slots=True)
class Example:
    """A text as the model is to read it (its personal data generalised), its label, and its row in the file."""

    text: str
    label: str
    row: int


@dataclass(frozen=True, slots=True)
class MultiLabelExample:
    """A text with all its labels, which may be none, and its row in the file."""

    text: str
    labels: tuple[str, ...]
    row: int


@dataclass(frozen=True, slots=True)
class TaggedExample:
    """Tokens (their personal data generalised), the BIO tag of each, and their row in the file."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    row: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages as the model is to read and write them (placeholders numbered), and their row in the file."""

    messages: tuple[Message, ...]
    row: int


@dataclass(frozen=True, slots=True)
class TrainingData(Generic[E]):
    """All of a dataset version's rows by split.

    `labels` are all different, and what labels an example is one of them; their order is that of the scores.
    Each split is read from its beginning to its end a few times, so it need not hold its examples in memory.
    """

    labels: tuple[str, ...]
    train: Sequence[E]
    validation: Sequence[E]
    test: Sequence[E]

    task: ClassVar[Task]

    def check(self) -> None:
        """Raises RecipeError where nothing can be learned from the data, or what was learned not be measured."""
        raise NotImplementedError

    @property
    def splits(self) -> tuple[Sequence[E], Sequence[E], Sequence[E]]:
        """The training, the validation and the test split."""
        return self.train, self.validation, self.test

    def _check_labels(self, are_known: bool) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise RecipeError("The dataset names a label twice. Upload it again.")
        if not are_known:
            raise RecipeError("A row has a label that the dataset does not name. Upload the dataset again.")


@dataclass(frozen=True, slots=True)
class ClassificationData(TrainingData[Example]):
    """Texts, each with one label."""

    task = Task.CLASSIFICATION

    def check(self) -> None:
        known = set(self.labels)
        self._check_labels(all(example.label in known for split in self.splits for example in split))
        if len({example.label for example in self.train}) < 2:
            raise RecipeError(
                "The training split has fewer than two labels. Add rows, so that there are two labels to tell apart."
            )
        if not self.test:
            raise RecipeError(_NO_TEST + "Give labels at least three different texts each.")


@dataclass(frozen=True, slots=True)
class MultiLabelData(TrainingData[MultiLabelExample]):
    """Texts, each with any number of labels."""

    task = Task.MULTI_LABEL

    def check(self) -> None:
        known = set(self.labels)
        self._check_labels(
            all(known.issuperset(example.labels) for split in self.splits for example in split)
        )
        if not any(example.labels for example in self.train):
            raise RecipeError("No row of the training split has a label. Add rows that have some.")
        if not self.test:
            raise RecipeError(_NO_TEST + "Add rows.")


@dataclass(frozen=True, slots=True)
class TaggingData(TrainingData[TaggedExample]):
    """Texts whose tokens are tagged; `labels` are the kinds of entities."""

    task = Task.TAGGING

    def check(self) -> None:
        known = {"O", *(f"{prefix}-{label}" for label in self.labels for prefix in "BI")}
        self._check_labels(all(known.issuperset(example.tags) for split in self.splits for example in split))
        if any(len(example.tags) != len(example.tokens) for split in self.splits for example in split):
            raise RecipeError("A row has not as many tags as tokens. Upload the dataset again.")
        if all(tag == "O" for example in self.train for tag in example.tags):
            raise RecipeError("No row of the training split has an entity. Add rows that have some.")
        if not self.test:
            raise RecipeError(_NO_TEST + "Add rows.")


@dataclass(frozen=True, slots=True)
class ChatData(TrainingData[Conversation]):
    """Conversations, which have no labels."""

    task = Task.CHAT

    def check(self) -> None:
        if not self.train:
            raise RecipeError("The training split is empty. Add conversations.")
        if not self.test:
            raise RecipeError(_NO_TEST + "Add conversations.")
        if not all(_has_answer(conversation) for split in self.splits for conversation in split):
            raise RecipeError(
                "A conversation has no message of the assistant's to learn from. Upload the dataset again."
            )


def _has_answer(conversation: Conversation) -> bool:
    return any(message.role == "assistant" for message in conversation.messages)
