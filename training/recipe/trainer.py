"""The training loop: one step after the other, from wherever a checkpoint left it."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.recipe.batches import by_length, cut, epoch_batches
from training.recipe.calibration import MIN_CALIBRATION_ROWS, find_temperature
from training.recipe.checkpoint import Checkpoint, under
from training.recipe.device import mixed_precision
from training.recipe.encoder import Classifier
from training.recipe.errors import RecipeError
from training.recipe.evaluation import accuracy, confusion_matrix, macro_f1
from training.recipe.frozen import TOKEN_BUDGET, FrozenLayers
from training.recipe.monitor import Monitor
from training.recipe.progress import Progress, Stage
from training.recipe.schedule import (
    BATCH_ROWS,
    LABEL_SMOOTHING,
    MAX_GRADIENT_NORM,
    WEIGHT_DECAY,
    Schedule,
)
from training.recipe.tokens import Indexes

MAX_VALIDATION_ROWS = 10_000
"""More would cost time and choose hardly better."""


@dataclass(frozen=True, slots=True)
class Validated:
    """What the validation split said after `step` steps."""

    step: int
    loss: float
    accuracy: float
    macro_f1: float


class Trainer:
    """Trains a classifier, and keeps the weights that had the best macro F1 on the validation split.

    Of equals the later ones, since the learning rate has fallen further. The loss would choose too early: it counts
    how sure the model is, which smoothed labels push down. For the same reason nothing stops training early: the last
    epochs are the best as a rule. Without a validation split the last weights are kept.
    """

    def __init__(
        self,
        classifier: Classifier,
        train: FrozenLayers,
        validation: FrozenLayers | None,
        schedule: Schedule,
        seed: int,
        monitor: Monitor,
        progress: Progress,
    ) -> None:
        self.best: Validated | None = None
        self.step = 0
        self._classifier = classifier
        self._parameters = classifier.trained()
        self._best_weights: dict[str, Tensor] = {}
        self._train = train
        self._validation = validation
        self._schedule = schedule
        self._seed = seed
        self._monitor = monitor
        self._progress = progress
        self._loss_sum = 0.0
        self._loss_rows = 0
        self._batches: tuple[int, list[Indexes]] = (-1, [])
        head = [self._parameters["head.weight"], self._parameters["head.bias"]]
        encoder = [parameter for name, parameter in self._parameters.items() if not name.startswith("head.")]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": encoder, "highest": schedule.learning_rate, "weight_decay": WEIGHT_DECAY},
                {"params": head, "highest": schedule.head_learning_rate, "weight_decay": 0.0},
            ]
        )

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
        """Put the best weights into the classifier, its confidence set right by the validation split.

        Dividing the logits by a temperature (Guo et al. 2017) changes no answer; the head takes it up.
        """
        for name, weights in self._best_weights.items():
            self._parameters[name].copy_(weights)
        if self._validation is not None and len(self._validation.split) >= MIN_CALIBRATION_ROWS:
            temperature = find_temperature(self._predict(self._validation), self._validation.split.labels)
            for name in ("head.weight", "head.bias"):
                self._parameters[name].div_(temperature)

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
            "loss_rows": self._loss_rows,
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
        self._loss_sum, self._loss_rows = values["loss_sum"], values["loss_rows"]
        share = self.step / self._schedule.epoch_steps
        self._progress.resume(Stage.TRAINING, share * self._train.split.tokens)
        done = 1 + int(share * self._schedule.epoch_validations)
        if self._validation is not None:
            self._progress.resume(Stage.VALIDATION, done * self._validation.split.tokens)

    def _epoch(self, epoch: int) -> list[Indexes]:
        if self._batches[0] != epoch:
            lengths = self._train.split.lengths
            self._batches = (epoch, epoch_batches(lengths, BATCH_ROWS, self._seed, epoch))
        return self._batches[1]

    def learn(self) -> None:
        """One step of the optimizer: the next batch, its gradient summed up over pieces that fit the token budget."""
        epoch, index = divmod(self.step, self._schedule.epoch_steps)
        batch = self._epoch(epoch)[index]
        factor = self._schedule.factor(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = group["highest"] * factor
        self._optimizer.zero_grad()
        for piece in cut(batch, self._train.split.lengths, TOKEN_BUDGET):
            self._add_gradient(piece, len(batch))
        nn.utils.clip_grad_norm_(self._parameters.values(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        self.step += 1
        self._tell_loss()

    def _add_gradient(self, piece: Indexes, batch_rows: int) -> None:
        hidden, mask = self._train(piece)
        targets = torch.from_numpy(self._train.split.labels[piece]).to(hidden.device)
        with mixed_precision(hidden.device):
            logits = self._classifier(hidden, mask).float()
        loss = F.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING, reduction="sum")
        (loss / batch_rows).backward()
        # The curve shows the plain loss, which compares with the validation's.
        plain = float(F.cross_entropy(logits.detach(), targets, reduction="sum"))
        if not math.isfinite(plain):
            raise self._diverged()
        self._loss_sum += plain
        self._loss_rows += len(piece)
        self._progress.advance(Stage.TRAINING, int(self._train.split.lengths[piece].sum()))

    def _tell_loss(self) -> None:
        if self.step % self._schedule.loss_interval == 0 or self.step == self._schedule.steps:
            epoch = self._epochs_of(self.step)
            self._monitor.metric("train_loss", self.step, epoch, self._loss_sum / self._loss_rows)
            self._loss_sum, self._loss_rows = 0.0, 0

    def _validate(self) -> Validated | None:
        """Measure on the validation split, and tell; None where there is none."""
        if self._validation is None:
            return None
        logits = self._predict(self._validation)
        labels = self._validation.split.labels
        confusion = confusion_matrix(labels, logits.argmax(1).numpy(), logits.shape[1])
        loss = float(F.cross_entropy(logits, torch.from_numpy(labels)))
        if not math.isfinite(loss):
            raise self._diverged()
        found = Validated(self.step, loss, accuracy(confusion), macro_f1(confusion))
        epoch = self._epochs_of(self.step)
        self._monitor.metric("validation_loss", self.step, epoch, found.loss)
        self._monitor.metric("validation_accuracy", self.step, epoch, found.accuracy)
        self._monitor.metric("validation_macro_f1", self.step, epoch, found.macro_f1)
        return found

    @torch.no_grad()
    def _predict(self, inputs: FrozenLayers) -> Tensor:
        """Logits of all rows, [rows, labels], on the CPU."""
        logits = torch.empty(len(inputs.split), len(self._parameters["head.bias"]))
        for indexes in by_length(inputs.split.lengths, TOKEN_BUDGET):
            logits[torch.from_numpy(indexes)] = self._classifier(*inputs(indexes)).cpu()
            self._progress.advance(Stage.VALIDATION, int(inputs.split.lengths[indexes].sum()))
        return logits

    def _keep_if_best(self, found: Validated | None) -> None:
        if found is not None:
            if self.best is not None and found.macro_f1 < self.best.macro_f1:
                return
            self.best = found
            self._monitor.log(
                f"Step {found.step:,}: the best so far on the validation texts, macro F1 {found.macro_f1:.1%}, "
                f"accuracy {found.accuracy:.1%}."
            )
        self._best_weights = {name: weights.detach().clone() for name, weights in self._parameters.items()}

    def _epochs_of(self, step: int) -> float:
        return round(step / self._schedule.epoch_steps, 4)

    def _diverged(self) -> RecipeError:
        return RecipeError(
            f"Training diverged after {self.step:,} steps: the loss is no longer a number. Lower the learning rate "
            f"(it was {self._schedule.learning_rate:g}), to a tenth for a start, and train again."
        )
