"""A whole fine-tune: probe, training, evaluation, adapter."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from core.catalogue import BaseModel
from core.models.fine_tune_jobs import JobStatus, Method
from training.recipe import probe as probes
from training.recipe.artifact import adapter_file
from training.recipe.batches import by_length, pad
from training.recipe.checkpoint import Checkpoint, UnreadableCheckpoint, under
from training.recipe.costs import TEXT, Costs, Size
from training.recipe.data import Example, TrainingData
from training.recipe.device import choose_device, reproducible
from training.recipe.encoder import Classifier, Encoder, mean_pooled
from training.recipe.evaluation import accuracy, confusion_matrix, evaluate, macro_f1, promotion
from training.recipe.frozen import TOKEN_BUDGET, FrozenLayers, fits
from training.recipe.label_errors import find_label_errors
from training.recipe.measuring import Measurement, measure
from training.recipe.monitor import Monitor
from training.recipe.probe import Probe
from training.recipe.progress import Progress, Stage
from training.recipe.saver import Saver
from training.recipe.schedule import Schedule
from training.recipe.settings import FineTuneSettings
from training.recipe.tokens import TextTokenizer, TokenizedSplit
from training.recipe.trainer import MAX_VALIDATION_ROWS, Trainer

__all__ = ["Measurement", "Result", "fine_tune", "measure"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a fine-tune made: the adapter's file, and what is known of it.

    training_tokens: the training split's tokens times the epochs.
    """

    adapter_file: bytes
    evaluation: dict[str, Any]
    promotable: bool
    rank: int | None
    training_tokens: int


@dataclass(frozen=True, slots=True)
class _Splits:
    train: TokenizedSplit
    validation: TokenizedSplit
    test: TokenizedSplit


def fine_tune(
    data: TrainingData,
    settings: FineTuneSettings,
    base: BaseModel,
    seed: int,
    monitor: Monitor,
    checkpoint: bytes | None = None,
) -> Result:
    """Train `base` on `data`, and measure it. From a `checkpoint` of the same fine-tune it goes on to the same result.

    Raises RecipeError for data or settings that cannot be trained with, BaseModelUnavailable, and whatever
    `monitor` raises.
    """
    data.check()
    with reproducible(seed):
        return _FineTune(data, settings, base, seed, monitor).run(checkpoint)


class _FineTune:
    """The steps of one fine-tune, and what they share."""

    def __init__(
        self, data: TrainingData, settings: FineTuneSettings, base: BaseModel, seed: int, monitor: Monitor
    ) -> None:
        self._data = data
        self._settings = settings
        self._base = base
        self._seed = seed
        self._monitor = monitor
        self._device = choose_device()
        self._progress = Progress(monitor.beat)
        self._schedule = Schedule.of(settings, len(data.train))
        self._saver = Saver(monitor, _fingerprint(data, settings, base, seed))

    def run(self, checkpoint: bytes | None) -> Result:
        self._monitor.phase(JobStatus.PREPARING, "Reading the texts")
        resumed = self._resume(checkpoint)
        splits = self._tokenize()
        frozen = Encoder.load(self._base, self._device)
        costs = self._plan(splits, frozen)
        self._progress.skip()
        train = FrozenLayers(frozen, splits.train, costs.frozen_layers, self._device)
        validation = FrozenLayers(frozen, splits.validation, costs.frozen_layers, self._device)
        if costs.cached and (resumed is None or not resumed.values["is_trained"]):
            self._monitor.phase(JobStatus.PREPARING, "Computing what the frozen layers make of the texts")
            self._keep(train, costs)
            self._keep(validation, costs)
        if resumed is None:
            resumed = self._fit_probe(train, costs)
        self._progress.finish(Stage.EMBEDDING)
        self._progress.finish(Stage.PROBE)
        probe = Probe(**resumed.part("probe"))

        self._monitor.phase(JobStatus.TRAINING, f"Training for {_count(self._schedule.epochs, 'epoch')}")
        encoder = Encoder.load(self._base, self._device)
        classifier = Classifier.prepare(encoder, self._settings, probe.weight, probe.bias)
        self._progress.skip()
        trainer = Trainer(
            classifier,
            train,
            validation if len(splits.validation) else None,
            self._schedule,
            self._seed,
            self._monitor,
            self._progress,
        )
        self._train(trainer, resumed)

        self._monitor.phase(JobStatus.EVALUATING, f"Measuring on {_count(len(splits.test), 'test text')}")
        evaluation = self._evaluate(frozen, probe, classifier, splits.test)
        if trainer.best is not None:
            evaluation["validation"] = {"rows": len(splits.validation), **asdict(trainer.best)}
        evaluation["label_errors"] = resumed.values["label_errors"]
        self._monitor.beat(1.0, 0)
        return Result(
            adapter_file=adapter_file(classifier.trained(), self._base, self._settings, self._data.labels),
            evaluation=evaluation,
            promotable=evaluation["promotion"]["promotable"],
            rank=self._settings.rank if self._settings.method is Method.LORA else None,
            training_tokens=splits.train.tokens * self._schedule.epochs,
        )

    def _resume(self, data: bytes | None) -> Checkpoint | None:
        if data is None:
            return None
        try:
            checkpoint = Checkpoint.decode(data, self._saver.fingerprint)
        except UnreadableCheckpoint as error:
            self._monitor.log(f"Training starts from the beginning: the checkpoint cannot be used. {error}")
            return None
        training = checkpoint.values["training"]
        self._monitor.log(
            f"Going on after step {training['step']:,}." if training else "Going on after the probe."
        )
        return checkpoint

    def _tokenize(self) -> _Splits:
        data, tokenizer = self._data, TextTokenizer(self._base)
        self._progress.plan(Stage.TOKENS, len(data.train) + len(data.validation) + len(data.test), TEXT)

        def tokenize(examples: Sequence[Example]) -> TokenizedSplit:
            return tokenizer.tokenize(
                examples, data.labels, lambda rows: self._progress.advance(Stage.TOKENS, rows)
            )

        splits = _Splits(tokenize(data.train), tokenize(data.validation), tokenize(data.test))
        rows = len(splits.validation)
        if rows <= MAX_VALIDATION_ROWS:
            return splits
        self._monitor.log(f"{MAX_VALIDATION_ROWS:,} of {rows:,} validation texts choose the best checkpoint.")
        chosen = np.sort(np.random.default_rng(self._seed).permutation(rows)[:MAX_VALIDATION_ROWS])
        return _Splits(splits.train, splits.validation.take(chosen), splits.test)

    def _plan(self, splits: _Splits, encoder: Encoder) -> Costs:
        tokens = splits.train.tokens + splits.validation.tokens
        costs = Costs(
            train=Size(len(splits.train), splits.train.tokens),
            validation=Size(len(splits.validation), splits.validation.tokens),
            test=Size(len(splits.test), splits.test.tokens),
            labels=len(self._data.labels),
            layers=encoder.layers,
            method=self._settings.method,
            schedule=self._schedule,
            cached=fits(tokens, encoder.hidden_size, self._device),
        )
        costs.plan(self._progress)
        return costs

    def _keep(self, inputs: FrozenLayers, costs: Costs) -> None:
        inputs.keep(lambda tokens: self._progress.advance(Stage.EMBEDDING, tokens * costs.frozen_layers))

    def _fit_probe(self, train: FrozenLayers, costs: Costs) -> Checkpoint:
        """Fit the probe, look for label errors, and save both."""
        monitor, progress, split = self._monitor, self._progress, train.split
        monitor.phase(JobStatus.PREPARING, "Fitting the probe, the simple classifier to beat")
        chosen = probes.sample(split.labels, self._seed)
        layers = costs.trained_layers + costs.repeated_layers
        features = train.features(chosen, lambda tokens: progress.advance(Stage.EMBEDDING, tokens * layers))
        labels = split.labels[chosen]
        names = self._data.labels
        fitted = probes.fit(features, labels, len(names), lambda rows: progress.advance(Stage.PROBE, rows))
        errors = find_label_errors(fitted.held_out, labels, split.rows[chosen], names)
        right = float((fitted.held_out.argmax(1).numpy() == labels).mean())
        monitor.log(f"The probe is right on {right:.1%} of training texts that were held out from it.")
        monitor.log(f"{_count(len(errors), 'label')} may be wrong.")
        checkpoint = Checkpoint(
            under("probe", {"weight": fitted.probe.weight, "bias": fitted.probe.bias}),
            {"label_errors": errors, "training": None, "is_trained": False},
        )
        self._saver.save(lambda: checkpoint, wanted=True)
        return checkpoint

    def _train(self, trainer: Trainer, resumed: Checkpoint) -> None:
        """Train to the end, and leave the best weights in the classifier."""
        if resumed.values["training"] is not None:
            trainer.restore(resumed)

        def save(ends_epoch: bool) -> None:
            self._saver.save(make, wanted=ends_epoch)

        def make() -> Checkpoint:
            state = trainer.state()
            return Checkpoint(
                {**under("probe", resumed.part("probe")), **state.tensors},
                {**resumed.values, **state.values, "is_trained": trainer.is_finished},
            )

        trainer.run(save)
        trainer.use_best()
        self._progress.finish(Stage.TRAINING)
        self._progress.finish(Stage.VALIDATION)

    def _evaluate(
        self, frozen: Encoder, probe: Probe, classifier: Classifier, test: TokenizedSplit
    ) -> dict[str, Any]:
        """Look at the test split, which happens this one time: the model, and the probe that it has to beat."""
        labels = self._data.labels
        logits = torch.empty(len(test), len(labels))
        probe_logits = torch.empty(len(test), len(labels))
        with torch.no_grad():
            for indexes in by_length(test.lengths, TOKEN_BUDGET):
                ids, mask = pad(test, indexes, self._device)
                places = torch.from_numpy(indexes)
                tokens = int(test.lengths[indexes].sum())
                logits[places] = classifier.logits(ids, mask).cpu()
                self._progress.advance(Stage.TEST, tokens)
                hidden = frozen.run(frozen.embed(ids), mask, 0, frozen.layers)
                probe_logits[places] = probe.logits(mean_pooled(hidden, mask).cpu())
                self._progress.advance(Stage.TEST, tokens)
        probabilities = torch.softmax(logits.double(), dim=1).numpy()
        confusion = confusion_matrix(test.labels, logits.argmax(1).numpy(), len(labels))
        baseline = confusion_matrix(test.labels, probe_logits.argmax(1).numpy(), len(labels))
        return {
            "labels": list(labels),
            "test": evaluate(
                probabilities, test.labels, labels, self._seed, lambda: self._progress.advance(Stage.TEST, 0)
            ),
            "probe": {"accuracy": accuracy(baseline), "macro_f1": macro_f1(baseline)},
            "promotion": promotion(confusion, baseline),
        }


def _fingerprint(data: TrainingData, settings: FineTuneSettings, base: BaseModel, seed: int) -> str:
    """What a checkpoint belongs to: the same of everything that its contents follow from."""
    digest = sha256()
    facts = (settings.to_json(), base.sha256, seed, data.labels)
    digest.update(json.dumps(facts).encode())
    for split in (data.train, data.validation, data.test):
        digest.update(f"\n{len(split)}\n".encode())
        for example in split:
            digest.update(f"{example.row} {example.label}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
