"""An encoder while it is trained with differential privacy."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from opacus.grad_sample import GradSampleHooks

from training.recipe.batches import cut
from training.recipe.device import mixed_precision
from training.recipe.encoder import EncoderModel
from training.recipe.encoder_learner import EncoderLearner
from training.recipe.frozen import TOKEN_BUDGET, FrozenLayers
from training.recipe.objective import Objective
from training.recipe.private.gradient import NoisySum
from training.recipe.private.guarantee import Guarantee
from training.recipe.progress import Progress, Stage
from training.recipe.schedule import Schedule
from training.recipe.tokens import Indexes
from training.recipe.trainer import Validated

_MOST_NUMBERS = 64_000_000
"""Of the records' own gradients at once: 256 MB."""


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Without torch's that nothing below the lowest trained layer needs a gradient, which is so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        yield


class PrivateEncoderLearner(EncoderLearner):
    """Trains `model` for `objective` as its `guarantee` says; a record is a row, however many labeled words it has.

    Nothing of the data but these steps reaches the weights: the validation split is measured and chooses none.
    """

    def __init__(
        self,
        model: EncoderModel,
        objective: Objective[Any],
        train: FrozenLayers,
        validation: FrozenLayers | None,
        schedule: Schedule,
        progress: Progress,
        guarantee: Guarantee,
    ) -> None:
        super().__init__(model, objective, train, validation, schedule.batch_rows, progress)
        self._epoch_steps = schedule.epoch_steps
        self._guarantee = guarantee
        self._parameters = list(model.trained().values())
        self._sum = NoisySum(self._parameters, guarantee.mechanism, guarantee.randomness)
        # The hooks look only at layers that are in training; none of the base's drops anything out.
        self._hooks = GradSampleHooks(model.train(), loss_reduction="sum")

    def batches(self, seed: int, epoch: int) -> list[Indexes]:
        """Each row is in each step by chance, independently of everything; the rows of a step grow longer."""
        lengths = self._train.split.lengths
        mechanism, randomness = self._guarantee.mechanism, self._guarantee.randomness
        first = epoch * self._epoch_steps
        samples = (
            randomness.sample(step, len(lengths), mechanism.sampling_rate)
            for step in range(first, first + self._epoch_steps)
        )
        return [rows[lengths[rows].argsort(kind="stable")] for rows in samples]

    def learn(self, batch: Indexes, step: int) -> tuple[float, int]:
        split = self._train.split
        total = 0.0
        for piece in self._pieces(batch):
            hidden, mask = self._train(piece)
            targets = torch.from_numpy(split.labels[split.labeled(piece)]).to(hidden.device)
            with mixed_precision(hidden.device):
                logits = self._model(hidden, mask, split.places_in(piece)).float()
            with _without_remarks():
                self._objective.training_loss(logits, targets).backward()
            self._sum.add([parameter.grad_sample for parameter in self._parameters])  # type: ignore[attr-defined]
            self._hooks.set_grad_sample_to_none()
            total += float(self._objective.loss(logits.detach(), targets))
            self._progress.advance(Stage.TRAINING, int(split.lengths[piece].sum()))
        self._sum.finish(step)
        return total, len(split.labeled(batch))

    def validate(self, step: int) -> Validated | None:
        found = super().validate(step)
        return None if found is None else replace(found, score=None)

    def _pieces(self, batch: Indexes) -> Iterator[Indexes]:
        most = max(1, _MOST_NUMBERS // sum(parameter.numel() for parameter in self._parameters))
        for piece in cut(batch, self._train.split.lengths, TOKEN_BUDGET):
            for first in range(0, len(piece), most):
                yield piece[first : first + most]
