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
from training.recipe.private.encoder_learner import PrivateEncoderLearner
from training.recipe.private.guarantee import Guarantee
from training.recipe.private.mechanism import Mechanism
from training.recipe.private.promotion import promotion
from training.recipe.private.randomness import Randomness
from training.recipe.probe import Probe
from training.recipe.progress import Progress, Stage
from training.recipe.result import Result
from training.recipe.saver import Saver
from training.recipe.schedule import ENCODER, PRIVATE, Schedule
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
        self._is_private = settings.epsilon is not None
        pace = PRIVATE if self._is_private else ENCODER
        self._schedule = Schedule.of(settings, pace, len(data.train))
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
        learner, model = self._learner(train, validation, probe, resumed)
        trainer = Trainer(learner, self._schedule, self._seed, self._monitor)
        self._train(trainer, resumed)
        if not self._is_private:
            learner.set_confidence()
        self._progress.finish(Stage.TRAINING)
        self._progress.finish(Stage.VALIDATION)

        self._monitor.phase(JobStatus.EVALUATING, f"Measuring on {count(len(splits.test), 'test text')}")
        evaluation = self._evaluate(frozen, probe, model, splits.test)
        if trainer.best is not None:
            evaluation["validation"] = {"rows": len(splits.validation), **trainer.best.to_json()}
        evaluation |= resumed.values["facts"]
        if self._is_private:
            evaluation["privacy"] = Guarantee.from_json(resumed.values["guarantee"]).mechanism.facts()
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
            {
                "facts": fitted.facts,
                "training": None,
                "is_trained": False,
                "guarantee": self._guarantee().to_json() if self._is_private else None,
            },
        )
        self._saver.save(lambda: checkpoint, wanted=True)
        return checkpoint

    def _guarantee(self) -> Guarantee:
        """What this fine-tune promises, settled before its first step."""
        assert self._settings.epsilon is not None
        mechanism = Mechanism.within(
            self._settings.epsilon, len(self._data.train), self._schedule, self._progress.skip
        )
        self._monitor.log(
            f"With differential privacy: ε = {mechanism.epsilon:.2f} and δ = {mechanism.delta:.1e} for each record "
            f"after {count(mechanism.steps, 'step')}, with a noise multiplier of {mechanism.noise_multiplier:.3f}."
        )
        return Guarantee(mechanism, Randomness.drawn())

    def _learner(
        self, train: FrozenLayers, validation: FrozenLayers, probe: Probe, resumed: Checkpoint
    ) -> tuple[EncoderLearner, EncoderModel]:
        """What is trained. With differential privacy its head begins at zero: the probe tells of its rows."""
        encoder = Encoder.load(self._base, self._device)
        measured = validation if len(validation.split) else None
        if self._is_private:
            head = torch.zeros_like(probe.weight), torch.zeros_like(probe.bias)
            model = EncoderModel.prepare(encoder, self._settings, *head)
            guarantee = Guarantee.from_json(resumed.values["guarantee"])
            learner: EncoderLearner = PrivateEncoderLearner(
                model, self._objective, train, measured, self._schedule, self._progress, guarantee
            )
        else:
            model = EncoderModel.prepare(encoder, self._settings, probe.weight, probe.bias)
            rows = self._schedule.batch_rows
            learner = EncoderLearner(model, self._objective, train, measured, rows, self._progress)
        self._progress.skip()
        return learner, model

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
        evaluation = self._objective.evaluate(
            logits, probe_logits, test, self._seed, lambda: self._progress.advance(Stage.TEST, 0)
        )
        if self._is_private:
            evaluation["promotion"] = promotion(self._objective, logits, test)
        return evaluation
