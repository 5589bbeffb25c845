"""The dry run before a launch: how long a fine-tune would take on this machine, from a few seconds' work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.catalogue import BaseModel
from training.recipe.costs import TEXT, Costs, Size
from training.recipe.data import Example, TrainingData
from training.recipe.device import choose_device, reproducible
from training.recipe.encoder import Classifier, Encoder
from training.recipe.frozen import FrozenLayers, fits
from training.recipe.monitor import Silent
from training.recipe.progress import Progress, Stage
from training.recipe.schedule import Schedule
from training.recipe.settings import FineTuneSettings
from training.recipe.tokens import TextTokenizer
from training.recipe.trainer import MAX_VALIDATION_ROWS, Trainer

_CHARACTERS = 2_000_000
_SAMPLE_TOKENS = 8192
_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Measurement:
    """How long a fine-tune would take, and how many tokens training would read.

    Of a large data set the tokens of a random sample are counted.
    """

    seconds: float
    training_tokens: int


def measure(
    data: TrainingData, settings: FineTuneSettings, base: BaseModel, beat: Callable[[], None]
) -> Measurement:
    """A dry run of a few seconds: the real steps on a sample of the training split, extrapolated to all of them.

    Raises RecipeError for data that cannot be trained with, BaseModelUnavailable, and what `beat` raises.
    """
    data.check()
    with reproducible(seed=0):
        return _measure(data, settings, base, Progress(lambda _progress, _eta: beat()))


def _measure(
    data: TrainingData, settings: FineTuneSettings, base: BaseModel, progress: Progress
) -> Measurement:
    device = choose_device()
    progress.plan(Stage.TOKENS, len(data.train) + len(data.validation) + len(data.test), TEXT)
    counted = TextTokenizer(base).tokenize(
        _counted(data.train), data.labels, lambda rows: progress.advance(Stage.TOKENS, rows)
    )
    encoder, schedule = Encoder.load(base, device), Schedule.of(settings, len(data.train))
    costs = _costs(data, counted.tokens / len(counted), schedule, settings, encoder, device)
    costs.plan(progress)
    progress.skip()

    sample = counted.take(np.arange(max(1, int((counted.starts[1:] <= _SAMPLE_TOKENS).sum()))))
    frozen = FrozenLayers(encoder, sample, costs.frozen_layers, device)
    if costs.cached:
        frozen.keep(lambda tokens: progress.advance(Stage.EMBEDDING, tokens * costs.frozen_layers))
    layers = costs.trained_layers + costs.repeated_layers
    frozen.features(np.arange(len(sample)), lambda tokens: progress.advance(Stage.EMBEDDING, tokens * layers))
    _train(frozen, data, settings, base, progress)
    return Measurement(progress.total_seconds, costs.train.tokens * schedule.epochs)


def _counted(examples: Sequence[Example]) -> list[Example]:
    """Examples in random order: all of them, or as many as tokens are made of in a moment."""
    counted = []
    characters = 0
    for index in np.random.default_rng(0).permutation(len(examples)):
        counted.append(examples[index])
        characters += len(examples[index].text)
        if characters > _CHARACTERS:
            break
    return counted


def _costs(
    data: TrainingData,
    row_tokens: float,
    schedule: Schedule,
    settings: FineTuneSettings,
    encoder: Encoder,
    device: torch.device,
) -> Costs:
    """What the fine-tune is to compute, where every split has `row_tokens` tokens a row."""

    def size(rows: int) -> Size:
        return Size(rows, round(rows * row_tokens))

    train, validation = size(len(data.train)), size(min(len(data.validation), MAX_VALIDATION_ROWS))
    return Costs(
        train=train,
        validation=validation,
        test=size(len(data.test)),
        labels=len(data.labels),
        layers=encoder.layers,
        method=settings.method,
        schedule=schedule,
        cached=fits(train.tokens + validation.tokens, encoder.hidden_size, device),
    )


def _train(
    frozen: FrozenLayers,
    data: TrainingData,
    settings: FineTuneSettings,
    base: BaseModel,
    progress: Progress,
) -> None:
    """Real training steps on the sample, with a head that knows nothing, for a moment."""
    encoder = Encoder.load(base, frozen.device)
    head = torch.zeros(len(data.labels), encoder.hidden_size), torch.zeros(len(data.labels))
    classifier = Classifier.prepare(encoder, settings, *head)
    schedule = Schedule.of(settings, len(frozen.split))
    trainer = Trainer(classifier, frozen, None, schedule, seed=0, monitor=Silent(), progress=progress)
    progress.skip()
    while progress.spent(Stage.TRAINING) < _SECONDS and not trainer.is_finished:
        trainer.learn()
