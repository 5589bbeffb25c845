"""A whole fine-tune of a chat model: training, held-out loss, sample answers, adapter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.catalogue import BaseModel, Task
from core.models.fine_tune_jobs import JobStatus
from training.recipe.artifact import adapter_file
from training.recipe.chat.canaries import as_conversation, canaries
from training.recipe.chat.costs import TEXT, ChatCosts, ChatSize
from training.recipe.chat.decoder import Decoder
from training.recipe.chat.frozen import FrozenDecoder
from training.recipe.chat.learner import ChatLearner
from training.recipe.chat.memorisation import Question, measure_memorisation, questions
from training.recipe.chat.rare_strings import find_rare_strings
from training.recipe.chat.samples import MAX_SAMPLES, sample_answers
from training.recipe.chat.tokens import ChatTokenizer, TokenizedChats
from training.recipe.checkpoint import Checkpoint
from training.recipe.data import ChatData, Conversation
from training.recipe.device import choose_device
from training.recipe.errors import RecipeError
from training.recipe.fingerprint import fingerprint
from training.recipe.monitor import Monitor
from training.recipe.progress import Progress, Stage
from training.recipe.result import Result
from training.recipe.saver import Saver
from training.recipe.schedule import CHAT, Schedule
from training.recipe.settings import FineTuneSettings
from training.recipe.trainer import Trainer
from training.recipe.words import count

MAX_VALIDATION_ROWS = 500
"""A chat's tokens cost more than a label's text, and each says something."""

_ROWS_NAMED = 10


@dataclass(frozen=True, slots=True)
class _Splits:
    train: TokenizedChats
    validation: TokenizedChats
    test: TokenizedChats


class ChatFineTune:
    """The steps of one fine-tune, and what they share."""

    def __init__(
        self, data: ChatData, settings: FineTuneSettings, base: BaseModel, seed: int, monitor: Monitor
    ) -> None:
        self._data = data
        self._settings = settings
        self._base = base
        self._seed = seed
        self._monitor = monitor
        self._device = choose_device()
        self._progress = Progress(monitor.beat)
        self._saver = Saver(monitor, fingerprint(data, settings, base, seed))
        self._canaries = canaries(data.train, seed)

    def run(self, checkpoint: bytes | None) -> Result:
        """Go through all steps, from `checkpoint` where it is one of this fine-tune."""
        self._monitor.phase(JobStatus.PREPARING, "Reading the conversations")
        resumed = self._saver.resume(checkpoint)
        tokenizer = ChatTokenizer(self._base)
        splits = self._tokenize(tokenizer)
        schedule = Schedule.of(self._settings, CHAT, len(splits.train))
        asked = questions(tokenizer, self._canaries, find_rare_strings(self._data.train), self._seed)
        # Nobody pays for the canaries.
        training_tokens = int(splits.train.lengths[splits.train.rows >= 0].sum()) * schedule.epochs
        self._monitor.will_read(training_tokens)
        decoder = Decoder.load(self._base, self._device)
        sizes = ChatSize.of(splits.train), ChatSize.of(splits.validation), ChatSize.of(splits.test)
        costs = ChatCosts.of(decoder, sizes, sum(question.tokens for question in asked), schedule)
        costs.plan(self._progress)
        self._progress.skip()
        train = FrozenDecoder(decoder, splits.train, self._device)
        validation = FrozenDecoder(decoder, splits.validation, self._device)
        if costs.cached and (resumed is None or not resumed.values["is_trained"]):
            self._monitor.phase(
                JobStatus.PREPARING, "Computing what the frozen layers make of the conversations"
            )
            for inputs in (train, validation):
                inputs.keep(lambda tokens: self._progress.advance(Stage.EMBEDDING, tokens))
        self._progress.finish(Stage.EMBEDDING)

        self._monitor.phase(JobStatus.TRAINING, f"Training for {count(schedule.epochs, 'epoch')}")
        decoder.adapt(self._settings.rank)
        learner = ChatLearner(
            decoder,
            train,
            validation if len(splits.validation) else None,
            schedule.batch_rows,
            self._progress,
        )
        trainer = Trainer(learner, schedule, self._seed, self._monitor)
        self._train(trainer, resumed)

        rows = count(len(splits.test), "test conversation")
        self._monitor.phase(JobStatus.EVALUATING, f"Measuring on {rows}")
        evaluation = self._evaluate(decoder, tokenizer, splits.test, costs)
        evaluation["memorisation"] = self._ask(decoder, asked, costs)
        if trainer.best is not None:
            evaluation["validation"] = {"rows": len(splits.validation), **trainer.best.to_json()}
        self._monitor.beat(1.0, 0)
        return Result(
            adapter_file=adapter_file(decoder.trained(), Task.CHAT, self._base, self._settings, ()),
            evaluation=evaluation,
            promotable=evaluation["promotion"]["promotable"],
            rank=self._settings.rank,
            training_tokens=training_tokens,
        )

    def _tokenize(self, tokenizer: ChatTokenizer) -> _Splits:
        self._progress.plan(Stage.TOKENS, sum(map(len, self._data.splits)), TEXT)
        left_out: list[int] = []

        def tokenize(conversations: Sequence[Conversation]) -> TokenizedChats:
            split, too_long = tokenizer.tokenize(
                conversations, lambda rows: self._progress.advance(Stage.TOKENS, rows)
            )
            left_out.extend(too_long)
            return split

        train = tokenize([*self._data.train, *map(as_conversation, self._canaries)])
        validation, test = tokenize(self._data.validation), tokenize(self._data.test)
        check_length(train, self._base)
        check_length(test, self._base)
        if left_out:
            self._monitor.log(_too_long(left_out, self._base))
        if len(validation) > MAX_VALIDATION_ROWS:
            self._monitor.log(
                f"{MAX_VALIDATION_ROWS:,} of {len(validation):,} validation conversations choose the best checkpoint."
            )
            chosen = np.random.default_rng(self._seed).permutation(len(validation))[:MAX_VALIDATION_ROWS]
            validation = validation.take(np.sort(chosen))
        return _Splits(train, validation, test)

    def _train(self, trainer: Trainer, resumed: Checkpoint | None) -> None:
        """Train to the end, and leave the best weights in the model."""
        if resumed is not None:
            trainer.restore(resumed)

        def make() -> Checkpoint:
            state = trainer.state()
            return Checkpoint(state.tensors, {**state.values, "is_trained": trainer.is_finished})

        trainer.run(lambda ends_epoch: self._saver.save(make, wanted=ends_epoch))
        trainer.use_best()
        self._progress.finish(Stage.TRAINING)
        self._progress.finish(Stage.VALIDATION)

    @torch.no_grad()
    def _evaluate(
        self, decoder: Decoder, tokenizer: ChatTokenizer, test: TokenizedChats, costs: ChatCosts
    ) -> dict[str, Any]:
        """Look at the test split, which happens this one time: the model, and the base that it has to beat."""
        inputs = FrozenDecoder(decoder, test, self._device)
        loss = base_loss = 0.0
        for piece in inputs.pieces():
            hidden, packed = inputs(piece)
            loss += float(decoder.losses(hidden, packed.layout, packed.targets).sum())
            with decoder.unadapted():
                base_loss += float(decoder.losses(hidden, packed.layout, packed.targets).sum())
            self._progress.advance(Stage.TEST, test.branch_tokens(piece) * costs.measured_token)
        loss, base_loss = loss / test.said, base_loss / test.said
        asked = set(test.rows[:MAX_SAMPLES].tolist())
        samples = sample_answers(
            decoder,
            tokenizer,
            [conversation for conversation in self._data.test if conversation.row in asked],
            lambda answers: self._progress.advance(Stage.TEST, answers * costs.answer_token),
        )
        return {
            "task": Task.CHAT.value,
            "test": {
                "rows": len(test),
                "tokens": test.said,
                "loss": loss,
                "perplexity": _perplexity(loss),
                "base_loss": base_loss,
                "base_perplexity": _perplexity(base_loss),
            },
            "samples": samples,
            "promotion": promotion(loss, base_loss),
        }

    def _ask(self, decoder: Decoder, asked: Sequence[Question], costs: ChatCosts) -> dict[str, Any]:
        """See what the model remembers word for word of what it was trained on."""
        self._monitor.phase(JobStatus.EVALUATING, "Asking for what it should not remember word for word")
        return measure_memorisation(
            decoder,
            asked,
            self._device,
            lambda tokens: self._progress.advance(Stage.TEST, tokens * costs.asked_token),
        )


def check_length(split: TokenizedChats, base: BaseModel) -> None:
    """Raises RecipeError where no conversation of the split, canaries aside, was short enough."""
    if not (split.rows >= 0).any():
        raise RecipeError(
            f"The conversations are too long: {base.title} reads at most {base.max_length:,} tokens, about "
            f"{base.max_length * 3 // 4:,} words, with the answer. Shorten them, and upload them again."
        )


def promotion(loss: float, base_loss: float) -> dict[str, Any]:
    """Whether a model beats its base on the test split, and if not, why not."""
    beats = loss < base_loss
    reason = (
        f"It does not beat its base: the loss on the test split is {loss:.3f}, and the base's {base_loss:.3f}. "
        "Add conversations, or train with a lower learning rate or fewer epochs."
    )
    return {"promotable": beats, "reason": None if beats else reason}


def _perplexity(loss: float) -> float:
    """From a mean loss; at most what JSON holds for certain."""
    return math.exp(min(loss, 100.0))


def _too_long(rows: Sequence[int], base: BaseModel) -> str:
    named = ", ".join(f"{row:,}" for row in sorted(rows)[:_ROWS_NAMED])
    more = ", …" if len(rows) > _ROWS_NAMED else ""
    return (
        f"{count(len(rows), 'conversation')} left out, whose last question and answer are longer than "
        f"{base.max_length:,} tokens: row {named}{more}."
    )
