"""What a fine-tune is to compute, in the cost of one token in one layer of the encoder."""

from dataclasses import dataclass

from core.models.fine_tune_jobs import Method
from training.recipe import probe
from training.recipe.encoder import first_trained_layer
from training.recipe.progress import Progress, Stage
from training.recipe.schedule import Schedule

TEXT = 1.0
"""To make one text into tokens."""

_BACKWARD = {Method.LORA: 3.0, Method.FULL: 3.5}
_PROBE_ROW = 0.03
_PROBE_LABEL = 0.0007


@dataclass(frozen=True, slots=True)
class Size:
    """The rows of a split, and their tokens."""

    rows: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Costs:
    """How much there is of everything.

    labeled: the training split's rows, or words where those are labeled; cached: whether the frozen layers' outputs
    are kept.
    """

    train: Size
    validation: Size
    test: Size
    labeled: int
    labels: int
    layers: int
    method: Method
    schedule: Schedule
    cached: bool

    @property
    def frozen_layers(self) -> int:
        return first_trained_layer(self.method, self.layers)

    @property
    def trained_layers(self) -> int:
        return self.layers - self.frozen_layers

    @property
    def repeated_layers(self) -> int:
        """Frozen layers that are computed whenever a row is read."""
        return 0 if self.cached else self.frozen_layers

    @property
    def kept(self) -> int:
        """Work for the outputs of the frozen layers that are kept."""
        return self.frozen_layers * (self.train.tokens + self.validation.tokens) if self.cached else 0

    @property
    def features(self) -> int:
        """Work for the probe's embeddings."""
        share = min(1.0, probe.MAX_ROWS / max(1, self.labeled))
        return round(share * self.train.tokens) * (self.trained_layers + self.repeated_layers)

    @property
    def training_token(self) -> float:
        return self.trained_layers * _BACKWARD[self.method] + self.repeated_layers

    @property
    def validations(self) -> int:
        """Before training, during it, and once more to set the confidence right."""
        return 2 + self.schedule.epochs * self.schedule.epoch_validations

    def plan(self, progress: Progress) -> None:
        """Tell `progress` of everything that is to be done after the texts are tokens."""
        rows = min(self.labeled, probe.MAX_ROWS)
        progress.plan(Stage.EMBEDDING, self.kept + self.features, 1.0)
        progress.plan(Stage.PROBE, probe.work(rows), _PROBE_ROW + _PROBE_LABEL * self.labels)
        progress.plan(Stage.TRAINING, self.train.tokens * self.schedule.epochs, self.training_token)
        progress.plan(
            Stage.VALIDATION,
            self.validation.tokens * self.validations,
            self.trained_layers + self.repeated_layers,
        )
        # The probe reads the test split too.
        progress.plan(Stage.TEST, self.test.tokens * 2, self.layers)
