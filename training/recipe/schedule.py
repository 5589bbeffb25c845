"""How long and how fast a fine-tune learns, from its settings and the amount of data."""

import math
from dataclasses import dataclass

from core.models.fine_tune_jobs import Method
from training.recipe.settings import FineTuneSettings

BATCH_ROWS = 32
LABEL_SMOOTHING = 0.1
WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 1.0
LEARNING_RATES = {Method.LORA: 2e-3, Method.FULL: 5e-5}
HEAD_FACTORS = {Method.LORA: 0.5, Method.FULL: 10.0}
"""The head's learning rate over the encoder's: it starts from the probe, which is good, and has few weights."""

_WARM_UP = 0.1
_STEPS = 550
_EPOCHS_LEAST, _EPOCHS_MOST = 2, 8
_STEPS_BETWEEN_VALIDATIONS = 1000
_LOSS_POINTS = 200


@dataclass(frozen=True, slots=True)
class Schedule:
    """Epochs of `epoch_steps` steps each, with a step for every batch, and the learning rates at their highest."""

    epochs: int
    epoch_steps: int
    learning_rate: float
    head_learning_rate: float

    @classmethod
    def of(cls, settings: FineTuneSettings, rows: int) -> "Schedule":
        """For a training split of `rows` rows."""
        rate = settings.learning_rate or LEARNING_RATES[settings.method]
        epoch_steps = math.ceil(rows / BATCH_ROWS)
        return cls(
            epochs=settings.epochs or min(_EPOCHS_MOST, max(_EPOCHS_LEAST, round(_STEPS / epoch_steps))),
            epoch_steps=epoch_steps,
            learning_rate=rate,
            head_learning_rate=rate * HEAD_FACTORS[settings.method],
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
