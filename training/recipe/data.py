"""The labeled texts that a fine-tune reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.recipe.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Example:
    """A text as the model is to read it (its personal data generalised), its label, and its row in the file."""

    text: str
    label: str
    row: int


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All of a dataset version's rows by split.

    `labels` are all different, and every example's label is one of them; their order is that of the scores.
    Each split is read from its beginning to its end a few times, so it need not hold its examples in memory.
    """

    labels: tuple[str, ...]
    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]

    def check(self) -> None:
        """Raises RecipeError where nothing can be learned from the data, or what was learned not be measured."""
        known = set(self.labels)
        if len(known) != len(self.labels):
            raise RecipeError("The dataset names a label twice. Upload it again.")
        if any(example.label not in known for split in self._splits for example in split):
            raise RecipeError("A row has a label that the dataset does not name. Upload the dataset again.")
        if len({example.label for example in self.train}) < 2:
            raise RecipeError(
                "The training split has fewer than two labels. Add rows, so that there are two labels to tell apart."
            )
        if not self.test:
            raise RecipeError(
                "The test split is empty, so nobody could say how good the model is. Give labels at least three "
                "different texts each."
            )

    @property
    def _splits(self) -> tuple[Sequence[Example], ...]:
        return self.train, self.validation, self.test
