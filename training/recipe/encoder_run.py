"""A whole fine-tune of an encoder, for any of its tasks: probe, training, evaluation, adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from core.catalogue import BaseModel
from core.models.fine_tune_jobs import JobStatus, Method
from training.recipe.artifact import adapter_file
from training.recipe.batches import by_length, pad
from training.recipe.checkpoint import Checkpoint, under
from training.recipe.costs import TEXT, Costs, Size
from training.recipe.data import TrainingData
from training.recipe.device import choose_device
from training.recipe.encoder import Encoder, EncoderModel, read
from training.recipe.encoder_learner import EncoderLearner
from training.recipe.fingerprint import fingerprint
from training.recipe.frozen import TOKEN_BUDGET, FrozenLayers, fits
from training.recipe.monitor import Monitor
from training.recipe.objective import Objective
from training.recipe.probe import Probe
from training.recipe.progress import Progress, Stage
from training.recipe.result import Result
from training.recipe.saver import Saver
from training.recipe.schedule import ENCODER, Schedule
from training.recipe.settings import FineTuneSettings
from training.recipe.tokens import TextTokenizer, TokenizedSplit
from training.recipe.trainer import MAX_VALIDATION_ROWS, Trainer
from training.recipe.words import count

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class _Splits:
    train: TokenizedSplit
    validation: TokenizedSplit
    test: TokenizedSplit


class EncoderFineTune(Generic[E]):
    """The steps of one fine-tune, and what they share."""

    def __init__(
        self,
        objective: Objective[E],
        data: TrainingData[E],
        settings: FineTuneSettings,
        base: BaseModel,
        seed: int,
        monitor: Monitor,
    ) -> None:
        self._objective = objective
        self._data = data
        self._settings = settings
        self._base = base
        self._seed = seed
        self._monitor = monitor
        self._device = choose_device()
        self._progress = Progress(monitor.beat)
        self._schedule = Schedule.of(settings, ENCODER, len(data.train))
        self._saver = Saver(monitor, fingerprint(data, settings, base, seed))

    def run(self, checkpoint: bytes | None) -> Result:
        """Go through all steps, from `checkpoint` where it is one of this fine-tune."""
        self._monitor.phase(JobStatus.PREPARING, "Reading the texts")
        resumed = self._saver.resume(checkpoint)
        splits = self._tokenize()
        training_tokens = splits.train.tokens * self._schedule.epochs
        self._monitor.will_read(training_tokens)
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

        self._monitor.phase(JobStatus.TRAINING, f"Training for {count(self._schedule.epochs, 'epoch')}")
        encoder = Encoder.load(self._base, self._device)
        model = EncoderModel.prepare(encoder, self._settings, probe.weight, probe.bias)
        self._progress.skip()
        learner = EncoderLearner(
            model,
            self._objective,
            train,
            validation if len(splits.validation) else None,
            self._schedule.batch_rows,
            self._progress,
        )
        trainer = Trainer(learner, self._schedule, self._seed, self._monitor)
        self._train(trainer, resumed)
        learner.set_confidence()
        self._progress.finish(Stage.TRAINING)
        self._progress.finish(Stage.VALIDATION)

        self._monitor.phase(JobStatus.EVALUATING, f"Measuring on {count(len(splits.test), 'test text')}")
        evaluation = self._evaluate(frozen, probe, model, splits.test)
        if trainer.best is not None:
            evaluation["validation"] = {"rows": len(splits.validation), **trainer.best.to_json()}
        evaluation |= resumed.values["facts"]
        self._monitor.beat(1.0, 0)
        return Result(
            adapter_file=adapter_file(
                model.trained(), self._objective.task, self._base, self._settings, self._objective.labels
            ),
            evaluation=evaluation,
            promotable=evaluation["promotion"]["promotable"],
            rank=self._settings.rank if self._settings.method is Method.LORA else None,
            training_tokens=training_tokens,
        )

    def _tokenize(self) -> _Splits:
        data, tokenizer = self._data, TextTokenizer(self._base)
        self._progress.plan(Stage.TOKENS, sum(map(len, data.splits)), TEXT)

        def tokenize(examples: Sequence[E]) -> TokenizedSplit:
            return self._objective.tokenize(
                tokenizer, examples, lambda rows: self._progress.advance(Stage.TOKENS, rows)
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
            labeled=len(splits.train.labels),
            labels=len(self._objective.labels),
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
        """Fit the probe, and save it with what was learned from that."""
        monitor, progress = self._monitor, self._progress
        monitor.phase(JobStatus.PREPARING, "Fitting the probe, the simple model to beat")
        rows = self._objective.probe_rows(train.split, self._seed)
        layers = costs.trained_layers + costs.repeated_layers
        features = train.features(rows, lambda tokens: progress.advance(Stage.EMBEDDING, tokens * layers))
        fitted = self._objective.fit_probe(
            features, train.split, rows, lambda labeled: progress.advance(Stage.PROBE, labeled)
        )
        for line in fitted.lines:
            monitor.log(line)
        checkpoint = Checkpoint(
            under("probe", {"weight": fitted.probe.weight, "bias": fitted.probe.bias}),
            {"facts": fitted.facts, "training": None, "is_trained": False},
        )
        self._saver.save(lambda: checkpoint, wanted=True)
        return checkpoint

    def _train(self, trainer: Trainer, resumed: Checkpoint) -> None:
        """Train to the end, and leave the best weights in the model."""
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

    def _evaluate(
        self, frozen: Encoder, probe: Probe, model: EncoderModel, test: TokenizedSplit
    ) -> dict[str, Any]:
        """Look at the test split, which happens this one time: the model, and the probe that it has to beat."""
        logits = torch.empty(len(test.labels), len(self._objective.labels))
        probe_logits = torch.empty_like(logits)
        with torch.no_grad():
            for indexes in by_length(test.lengths, TOKEN_BUDGET):
                ids, mask = pad(test, indexes, self._device)
                places = test.places_in(indexes)
                labeled = torch.from_numpy(test.labeled(indexes))
                tokens = int(test.lengths[indexes].sum())
                logits[labeled] = model.logits(ids, mask, places).cpu()
                self._progress.advance(Stage.TEST, tokens)
                hidden = frozen.run(frozen.embed(ids), mask, 0, frozen.layers)
                probe_logits[labeled] = probe.logits(read(hidden, mask, places).cpu())
                self._progress.advance(Stage.TEST, tokens)
        return self._objective.evaluate(
            logits, probe_logits, test, self._seed, lambda: self._progress.advance(Stage.TEST, 0)
        )
