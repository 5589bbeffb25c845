"""The dry run before a launch: how long a fine-tune would take on this machine, from a few seconds' work."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from core.catalogue import BaseModel
from training.recipe.costs import TEXT, Costs, Size
from training.recipe.data import TrainingData
from training.recipe.device import choose_device
from training.recipe.encoder import Encoder, EncoderModel
from training.recipe.encoder_learner import EncoderLearner
from training.recipe.frozen import FrozenLayers, fits
from training.recipe.monitor import Silent
from training.recipe.objective import Objective
from training.recipe.private.encoder_learner import PrivateEncoderLearner
from training.recipe.private.guarantee import Guarantee
from training.recipe.private.mechanism import Mechanism
from training.recipe.private.randomness import Randomness
from training.recipe.progress import Progress, Stage
from training.recipe.result import Measurement
from training.recipe.schedule import ENCODER, PRIVATE, Pace, Schedule
from training.recipe.settings import FineTuneSettings
from training.recipe.tokens import TextTokenizer, TokenizedSplit
from training.recipe.trainer import MAX_VALIDATION_ROWS, Trainer

_CHARACTERS = 2_000_000
_SAMPLE_TOKENS = 8192
_SECONDS = 1.5


E = TypeVar("E")


def measure_encoder(
    objective: Objective[E],
    data: TrainingData[E],
    settings: FineTuneSettings,
    base: BaseModel,
    progress: Progress,
) -> Measurement:
    """A dry run of a few seconds: the real steps on a sample of the training split, extrapolated to all of them."""
    device = choose_device()
    progress.plan(Stage.TOKENS, sum(map(len, data.splits)), TEXT)
    counted = objective.tokenize(
        TextTokenizer(base),
        sample_of(data.train, objective.text),
        lambda rows: progress.advance(Stage.TOKENS, rows),
    )
    pace = ENCODER if settings.epsilon is None else PRIVATE
    encoder, schedule = Encoder.load(base, device), Schedule.of(settings, pace, len(data.train))
    costs = _costs(data, counted, objective, schedule, settings, encoder, device)
    costs.plan(progress)
    mechanism = (
        None
        if settings.epsilon is None
        else Mechanism.within(settings.epsilon, len(data.train), schedule, progress.skip)
    )
    progress.skip()

    sample = counted.take(np.arange(max(1, int((counted.starts[1:] <= _SAMPLE_TOKENS).sum()))))
    frozen = FrozenLayers(encoder, sample, costs.frozen_layers, device)
    if costs.cached:
        frozen.keep(lambda tokens: progress.advance(Stage.EMBEDDING, tokens * costs.frozen_layers))
    layers = costs.trained_layers + costs.repeated_layers
    frozen.features(np.arange(len(sample)), lambda tokens: progress.advance(Stage.EMBEDDING, tokens * layers))
    _train(frozen, objective, settings, base, pace, mechanism, progress)
    return Measurement(
        progress.total_seconds, costs.train.tokens * schedule.epochs, mechanism.facts() if mechanism else None
    )


def sample_of(examples: Sequence[E], text: Callable[[E], str]) -> list[E]:
    """Examples in random order: all of them, or as many as tokens are made of in a moment."""
    counted = []
    characters = 0
    for index in np.random.default_rng(0).permutation(len(examples)):
        counted.append(examples[index])
        characters += len(text(examples[index]))
        if characters > _CHARACTERS:
            break
    return counted


def train_for_a_moment(trainer: Trainer, progress: Progress) -> None:
    """Real training steps, until their speed is known."""
    progress.skip()
    while progress.spent(Stage.TRAINING) < _SECONDS and not trainer.is_finished:
        trainer.learn()


def _costs(
    data: TrainingData[E],
    counted: TokenizedSplit,
    objective: Objective[E],
    schedule: Schedule,
    settings: FineTuneSettings,
    encoder: Encoder,
    device: torch.device,
) -> Costs:
    """What the fine-tune is to compute, where every split is like the rows that were `counted`."""

    def size(rows: int) -> Size:
        return Size(rows, round(rows * counted.tokens / len(counted)))

    train, validation = size(len(data.train)), size(min(len(data.validation), MAX_VALIDATION_ROWS))
    return Costs(
        train=train,
        validation=validation,
        test=size(len(data.test)),
        labeled=round(train.rows * len(counted.labels) / len(counted)),
        labels=len(objective.labels),
        layers=encoder.layers,
        method=settings.method,
        schedule=schedule,
        cached=fits(train.tokens + validation.tokens, encoder.hidden_size, device),
    )


def _train(
    frozen: FrozenLayers,
    objective: Objective[Any],
    settings: FineTuneSettings,
    base: BaseModel,
    pace: Pace,
    mechanism: Mechanism | None,
    progress: Progress,
) -> None:
    """Train on the sample, with a head that knows nothing."""
    encoder = Encoder.load(base, frozen.device)
    head = torch.zeros(len(objective.labels), encoder.hidden_size), torch.zeros(len(objective.labels))
    model = EncoderModel.prepare(encoder, settings, *head)
    rows = len(frozen.split)
    schedule = Schedule.of(settings, pace, rows)
    if mechanism is None:
        learner = EncoderLearner(model, objective, frozen, None, schedule.batch_rows, progress)
    else:
        on_sample = replace(mechanism, records=rows, sampling_rate=min(1.0, schedule.batch_rows / rows))
        guarantee = Guarantee(on_sample, Randomness.drawn())
        learner = PrivateEncoderLearner(model, objective, frozen, None, schedule, progress, guarantee)
    train_for_a_moment(Trainer(learner, schedule, seed=0, monitor=Silent()), progress)
