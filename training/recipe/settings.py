"""What a tenant may choose about a fine-tune. Everything has a default that suits most data."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from core.catalogue import Task
from core.models.fine_tune_jobs import Method

MAX_EPOCHS = 100
MIN_LEARNING_RATE = 1e-6
MAX_LEARNING_RATE = 0.1
MAX_RANK = 64
MIN_EPSILON = 0.1
MAX_EPSILON = 20.0
"""Above, a guarantee says hardly anything."""
FULL_TASKS = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL})
"""What a full fine-tune can be for: the pool serves one of nothing else."""
PRIVATE_TASKS = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL, Task.TAGGING})
"""What can be trained with differential privacy."""
MIN_PRIVATE_ROWS = 100
"""Fewer disappear in the noise."""


class SettingsError(Exception):
    """A setting that cannot be; `field` says which, the message what it may be, and is fit to show."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class FineTuneSettings:
    """How the base model is to be trained. Raises SettingsError for a value that cannot be.

    epochs: how often training reads the training split; None: as the amount of data asks for.
    learning_rate: the highest of the schedule; None: the method's default.
    rank: of the low-rank changes; only LoRA reads it.
    epsilon: the most that training with differential privacy may give away of a record; None: without.
    """

    method: Method = Method.LORA
    epochs: int | None = None
    learning_rate: float | None = None
    rank: int = 16
    epsilon: float | None = None

    def __post_init__(self) -> None:
        if self.method not in list(Method):
            raise SettingsError("method", f"Choose one of {', '.join(Method)}.")
        object.__setattr__(self, "method", Method(self.method))
        if self.epochs is not None:
            _check_whole("epochs", self.epochs, MAX_EPOCHS)
        if self.learning_rate is not None:
            object.__setattr__(self, "learning_rate", _checked_learning_rate(self.learning_rate))
        _check_whole("rank", self.rank, MAX_RANK)
        if self.epsilon is not None:
            object.__setattr__(self, "epsilon", _checked_epsilon(self.epsilon))
            if self.method is Method.FULL:
                raise SettingsError(
                    "epsilon",
                    "Differential privacy works with LoRA only. Choose that method, or leave it off.",
                )

    def check_task(self, task: Task) -> None:
        """Raises SettingsError where a model for `task` cannot be trained by the method."""
        if self.method is Method.FULL and task not in FULL_TASKS:
            raise SettingsError(
                "method", f"A model for {task.value} is trained with LoRA. Choose that method."
            )
        if self.epsilon is not None and task not in PRIVATE_TASKS:
            raise SettingsError(
                "epsilon",
                f"A model for {task.value} cannot be trained with differential privacy. Leave it off.",
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From `to_json()`; what is missing has its default. Raises SettingsError."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise SettingsError(unknown[0], f"There is no setting {unknown[0]!r}.")
        return cls(**value)


def _check_whole(name: str, value: object, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
        raise SettingsError(name, f"Enter a whole number from 1 to {highest}.")


def _checked_epsilon(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError("epsilon", "Enter a number such as 3.")
    if not MIN_EPSILON <= value <= MAX_EPSILON:
        raise SettingsError("epsilon", f"Enter a number from {MIN_EPSILON} to {MAX_EPSILON:.0f}.")
    return float(value)


def _checked_learning_rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError("learning_rate", "Enter a number such as 0.001.")
    if not MIN_LEARNING_RATE <= value <= MAX_LEARNING_RATE:
        raise SettingsError(
            "learning_rate", f"Enter a number from {MIN_LEARNING_RATE:.6f} to {MAX_LEARNING_RATE}."
        )
    return float(value)
