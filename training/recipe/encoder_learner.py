"""An encoder while it is trained: its batches, its gradient, its validation."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.recipe.batches import by_length, cut, epoch_batches
from training.recipe.device import mixed_precision
from training.recipe.encoder import EncoderModel
from training.recipe.frozen import TOKEN_BUDGET, FrozenLayers
from training.recipe.objective import Objective
from training.recipe.progress import Progress, Stage
from training.recipe.tokens import Indexes
from training.recipe.trainer import Validated


class EncoderLearner:
    """Trains `model` for `objective`; see training.recipe.trainer.Learner."""

    def __init__(
        self,
        model: EncoderModel,
        objective: Objective[Any],
        train: FrozenLayers,
        validation: FrozenLayers | None,
        batch_rows: int,
        progress: Progress,
    ) -> None:
        self._model = model
        self._objective = objective
        self._train = train
        self._validation = validation
        self._batch_rows = batch_rows
        self._progress = progress

    def trained(self) -> dict[str, Tensor]:
        return self._model.trained()

    def batches(self, seed: int, epoch: int) -> list[Indexes]:
        return epoch_batches(self._train.split.lengths, self._batch_rows, seed, epoch)

    def learn(self, batch: Indexes, step: int) -> tuple[float, int]:
        split = self._train.split
        count = len(split.labeled(batch))
        total = 0.0
        for piece in cut(batch, split.lengths, TOKEN_BUDGET):
            hidden, mask = self._train(piece)
            targets = torch.from_numpy(split.labels[split.labeled(piece)]).to(hidden.device)
            with mixed_precision(hidden.device):
                logits = self._model(hidden, mask, split.places_in(piece)).float()
            (self._objective.training_loss(logits, targets) / max(1, count)).backward()
            # The curve shows the plain loss, which compares with the validation's.
            total += float(self._objective.loss(logits.detach(), targets))
            self._progress.advance(Stage.TRAINING, int(split.lengths[piece].sum()))
        return total, count

    def validate(self, step: int) -> Validated | None:
        if self._validation is None:
            return None
        split = self._validation.split
        logits = self._predict(self._validation)
        loss = float(self._objective.loss(logits, torch.from_numpy(split.labels))) / max(1, len(split.labels))
        metrics = self._objective.measure(logits, split)
        words = ", ".join(f"{_NAMES[name]} {value:.1%}" for name, value in reversed(metrics.items()))
        return Validated(step, loss, metrics, list(metrics.values())[-1], words)

    def resume(self, epochs: float, validations: int) -> None:
        self._progress.resume(Stage.TRAINING, epochs * self._train.split.tokens)
        if self._validation is not None:
            self._progress.resume(Stage.VALIDATION, validations * self._validation.split.tokens)

    @torch.no_grad()
    def set_confidence(self) -> None:
        """Set right how sure the model is, by the validation split.

        Dividing the logits by a temperature (Guo et al. 2017) changes no answer; the head takes it up.
        """
        if self._validation is not None:
            logits = self._predict(self._validation)
            temperature = self._objective.temperature(logits, self._validation.split)
            self._model.head.weight.div_(temperature)
            self._model.head.bias.div_(temperature)

    @torch.no_grad()
    def _predict(self, inputs: FrozenLayers) -> Tensor:
        """Logits of everything that is labeled, [labeled, labels], on the CPU."""
        split = inputs.split
        logits = torch.empty(len(split.labels), self._model.head.out_features)
        for indexes in by_length(split.lengths, TOKEN_BUDGET):
            found = self._model(*inputs(indexes), split.places_in(indexes)).cpu()
            logits[torch.from_numpy(np.asarray(split.labeled(indexes)))] = found
            self._progress.advance(Stage.VALIDATION, int(split.lengths[indexes].sum()))
        return logits


_NAMES = {"accuracy": "accuracy", "macro_f1": "macro F1", "f1": "F1"}
