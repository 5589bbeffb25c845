"""The training loop: one step after the other, from wherever a checkpoint left it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.recipe.checkpoint import Checkpoint, under
from training.recipe.errors import RecipeError
from training.recipe.monitor import Monitor
from training.recipe.schedule import MAX_GRADIENT_NORM, WEIGHT_DECAY, Schedule
from training.recipe.tokens import Indexes

MAX_VALIDATION_ROWS = 10_000
"""More would cost time and choose hardly better."""


@dataclass(frozen=True, slots=True)
class Validated:
    """What the validation split said after `step` steps.

    metrics: besides the loss, by name; score: what the best weights have the highest of, None where the last are kept
    whatever they have; words: all that, to be told.
    """

    step: int
    loss: float
    metrics: Mapping[str, float]
    score: float | None
    words: str

    def is_kept_after(self, best: "Validated | None") -> bool:
        """Whether these weights are kept rather than the `best` so far."""
        return best is None or self.score is None or best.score is None or self.score >= best.score

    def to_json(self) -> dict[str, Any]:
        return {"step": self.step, "loss": self.loss, **self.metrics}


class Learner(Protocol):
    """What is trained, and on what: a model with its data and its loss."""

    def trained(self) -> dict[str, Tensor]:
        """The parameters that training changes, by the names that the adapter's file gives them."""

    def batches(self, seed: int, epoch: int) -> list[Indexes]:
        """One epoch's batches, which follow from the arguments alone."""

    def learn(self, batch: Indexes, step: int) -> tuple[float, int]:
        """Set the gradient of the batch's mean loss; return the plain loss, summed up, and what it is a sum over.

        step: how many there were before.
        """

    def validate(self, step: int) -> Validated | None:
        """Measure on the validation split; None where there is none."""

    def resume(self, epochs: float, validations: int) -> None:
        """An earlier attempt has trained for `epochs` and validated so often."""


class Trainer:
    """Trains, and keeps the weights that had the best score on the validation split.

    Of equals the later ones, since the learning rate has fallen further. Nothing stops training early: the last
    epochs are the best as a rule. Without a validation split the last weights are kept.
    """

    def __init__(self, learner: Learner, schedule: Schedule, seed: int, monitor: Monitor) -> None:
        self.best: Validated | None = None
        self.step = 0
        self._learner = learner
        self._parameters = learner.trained()
        self._best_weights: dict[str, Tensor] = {}
        self._schedule = schedule
        self._seed = seed
        self._monitor = monitor
        self._loss_sum = 0.0
        self._loss_count = 0
        self._batches: tuple[int, list[Indexes]] = (-1, [])
        head = [weights for name, weights in self._parameters.items() if name.startswith("head.")]
        layers = [weights for name, weights in self._parameters.items() if not name.startswith("head.")]
        groups: list[dict[str, Any]] = [
            {"params": layers, "highest": schedule.learning_rate, "weight_decay": WEIGHT_DECAY},
            {"params": head, "highest": schedule.head_learning_rate, "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW([group for group in groups if group["params"]])

    @property
    def is_finished(self) -> bool:
        return self.step >= self._schedule.steps

    def run(self, checkpoint: Callable[[bool], None]) -> None:
        """Train to the end. `checkpoint` is called after every step; with True where an epoch ends.

        Raises RecipeError where the loss is no longer a number.
        """
        if self.step == 0:
            self._validate()
        while not self.is_finished:
            self.learn()
            ends_epoch = self.step % self._schedule.epoch_steps == 0
            if self._schedule.is_validated(self.step):
                self._keep_if_best(self._validate())
            checkpoint(ends_epoch)

    @torch.no_grad()
    def use_best(self) -> None:
        """Put the best weights into what is trained."""
        for name, weights in self._best_weights.items():
            self._parameters[name].copy_(weights)

    def state(self) -> Checkpoint:
        """Everything that `restore` needs."""
        tensors = under("model", self._parameters) | under("best", self._best_weights)
        for name, parameter in self._parameters.items():
            tensors |= under(f"optimizer.{name}", self._optimizer.state[parameter])
        tensors["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        training = {
            "step": self.step,
            "best": asdict(self.best) if self.best else None,
            "loss_sum": self._loss_sum,
            "loss_count": self._loss_count,
        }
        return Checkpoint(tensors, {"training": training})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where `state` was taken."""
        with torch.no_grad():
            for name, weights in checkpoint.part("model").items():
                self._parameters[name].copy_(weights)
        for name, parameter in self._parameters.items():
            state = checkpoint.part(f"optimizer.{name}")
            # Adam counts its steps on the CPU, whatever the weights are on.
            self._optimizer.state[parameter] = {
                key: value if key == "step" else value.to(parameter.device) for key, value in state.items()
            }
        self._best_weights = checkpoint.part("best")
        torch.set_rng_state(checkpoint.tensors["random"])
        if torch.cuda.is_available() and "random_cuda" in checkpoint.tensors:
            torch.cuda.set_rng_state(checkpoint.tensors["random_cuda"])
        values = checkpoint.values["training"]
        self.step = values["step"]
        self.best = Validated(**values["best"]) if values["best"] else None
        self._loss_sum, self._loss_count = values["loss_sum"], values["loss_count"]
        epochs = self.step / self._schedule.epoch_steps
        self._learner.resume(epochs, 1 + int(epochs * self._schedule.epoch_validations))

    def learn(self) -> None:
        """One step of the optimizer: the next batch."""
        epoch, index = divmod(self.step, self._schedule.epoch_steps)
        if self._batches[0] != epoch:
            self._batches = (epoch, self._learner.batches(self._seed, epoch))
        factor = self._schedule.factor(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = group["highest"] * factor
        self._optimizer.zero_grad()
        loss, count = self._learner.learn(self._batches[1][index], self.step)
        if not math.isfinite(loss):
            raise self._diverged()
        self._loss_sum += loss
        self._loss_count += count
        nn.utils.clip_grad_norm_(self._parameters.values(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        self.step += 1
        self._tell_loss()

    def _tell_loss(self) -> None:
        if self.step % self._schedule.loss_interval == 0 or self.step == self._schedule.steps:
            epoch = self._epochs_of(self.step)
            self._monitor.metric("train_loss", self.step, epoch, self._loss_sum / max(1, self._loss_count))
            self._loss_sum, self._loss_count = 0.0, 0

    def _validate(self) -> Validated | None:
        """Measure on the validation split, and tell; None where there is none."""
        found = self._learner.validate(self.step)
        if found is None:
            return None
        if not math.isfinite(found.loss):
            raise self._diverged()
        epoch = self._epochs_of(self.step)
        for name, value in {"loss": found.loss, **found.metrics}.items():
            self._monitor.metric(f"validation_{name}", self.step, epoch, value)
        return found

    def _keep_if_best(self, found: Validated | None) -> None:
        if found is not None:
            if not found.is_kept_after(self.best):
                return
            self.best = found
            best = (
                "the best so far on the validation split"
                if found.score is not None
                else "on the validation split"
            )
            self._monitor.log(f"Step {found.step:,}: {best}, {found.words}.")
        self._best_weights = {name: weights.detach().clone() for name, weights in self._parameters.items()}

    def _epochs_of(self, step: int) -> float:
        return round(step / self._schedule.epoch_steps, 4)

    def _diverged(self) -> RecipeError:
        return RecipeError(
            f"Training diverged after {self.step:,} steps: the loss is no longer a number. Lower the learning rate "
            f"(it was {self._schedule.learning_rate:g}), to a tenth for a start, and train again."
        )
