"""How long and how fast a fine-tune learns, from its settings and the amount of data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.catalogue import Task
from core.models.fine_tune_jobs import Method
from training.recipe.settings import FineTuneSettings

LABEL_SMOOTHING = 0.1
WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 1.0

_WARM_UP = 0.1
_STEPS_BETWEEN_VALIDATIONS = 1000
_LOSS_POINTS = 200


@dataclass(frozen=True, slots=True)
class Pace:
    """What suits a kind of model.

    steps: how many a fine-tune is to have, within least_epochs and most_epochs; learning_rates: the highest, by
    method; head_factors: the head's learning rate over the layers'.
    """

    batch_rows: int
    steps: int
    least_epochs: int
    most_epochs: int
    learning_rates: Mapping[Method, float]
    head_factors: Mapping[Method, float]


ENCODER = Pace(
    batch_rows=32,
    steps=550,
    least_epochs=2,
    most_epochs=8,
    learning_rates={Method.LORA: 2e-3, Method.FULL: 5e-5},
    # A head starts from the probe, which is good, and has few weights.
    head_factors={Method.LORA: 0.5, Method.FULL: 10.0},
)

CHAT = Pace(
    batch_rows=8,
    steps=110,
    least_epochs=2,
    most_epochs=8,
    learning_rates={Method.LORA: 4e-3},
    head_factors={Method.LORA: 1.0},  # a decoder has no head that is trained
)


PRIVATE = Pace(
    # Noise is added once a step, whatever its size: large steps drown less in it.
    batch_rows=256,
    steps=200,
    least_epochs=4,
    most_epochs=8,
    learning_rates={Method.LORA: 2e-3},
    # A head starts from nothing: a probe would tell of its rows.
    head_factors={Method.LORA: 5.0},
)


def pace_of(task: Task) -> Pace:
    """What suits a model for `task`."""
    return CHAT if task is Task.CHAT else ENCODER


@dataclass(frozen=True, slots=True)
class Schedule:
    """Epochs of `epoch_steps` steps each, with a step for every batch, and the learning rates at their highest."""

    batch_rows: int
    epochs: int
    epoch_steps: int
    learning_rate: float
    head_learning_rate: float

    @classmethod
    def of(cls, settings: FineTuneSettings, pace: Pace, rows: int) -> "Schedule":
        """For a training split of `rows` rows."""
        rate = settings.learning_rate or pace.learning_rates[settings.method]
        epoch_steps = math.ceil(rows / pace.batch_rows)
        epochs = min(pace.most_epochs, max(pace.least_epochs, round(pace.steps / epoch_steps)))
        return cls(
            batch_rows=pace.batch_rows,
            epochs=settings.epochs or epochs,
            epoch_steps=epoch_steps,
            learning_rate=rate,
            head_learning_rate=rate * pace.head_factors[settings.method],
        )

    @property
    def steps(self) -> int:
        return self.epochs * self.epoch_steps

    @property
    def loss_interval(self) -> int:
        """Steps from one point of the training loss's curve to the next."""
        return max(1, self.steps // _LOSS_POINTS)

    @property
    def epoch_validations(self) -> int:
        """How often an epoch is validated: at its end, and in a long one in between."""
        return math.ceil(self.epoch_steps / _STEPS_BETWEEN_VALIDATIONS)

    def factor(self, step: int) -> float:
        """What the learning rates are multiplied with in step `step` (from 0): up to one, then down to nothing."""
        warm_up = max(1, round(self.steps * _WARM_UP))
        return min((step + 1) / warm_up, (self.steps - step) / max(1, self.steps - warm_up))

    def is_validated(self, step: int) -> bool:
        """Whether the model is validated once `step` steps are done."""
        within = step % self.epoch_steps
        return within % math.ceil(self.epoch_steps / self.epoch_validations) == 0
