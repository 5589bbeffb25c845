"""The dry run before a launch: how long a fine-tune of a chat model would take on this machine."""

import numpy as np

from core.catalogue import BaseModel
from training.recipe.chat.canaries import canaries
from training.recipe.chat.costs import TEXT, ChatCosts, ChatSize
from training.recipe.chat.decoder import Decoder
from training.recipe.chat.frozen import FrozenDecoder
from training.recipe.chat.learner import ChatLearner
from training.recipe.chat.memorisation import questions
from training.recipe.chat.rare_strings import find_rare_strings
from training.recipe.chat.run import check_length
from training.recipe.chat.tokens import ChatTokenizer
from training.recipe.data import ChatData, Conversation
from training.recipe.device import choose_device
from training.recipe.encoder_measuring import sample_of, train_for_a_moment
from training.recipe.monitor import Silent
from training.recipe.progress import Progress, Stage
from training.recipe.result import Measurement
from training.recipe.schedule import CHAT, Schedule
from training.recipe.settings import FineTuneSettings
from training.recipe.trainer import Trainer

_SAMPLE_TOKENS = 1024


def measure_chat(
    data: ChatData, settings: FineTuneSettings, base: BaseModel, progress: Progress
) -> Measurement:
    """A dry run of a few seconds: the real steps on a sample of the training split, extrapolated to all of them."""
    device = choose_device()
    progress.plan(Stage.TOKENS, sum(map(len, data.splits)), TEXT)
    tokenizer = ChatTokenizer(base)
    counted, _ = tokenizer.tokenize(
        sample_of(data.train, _text), lambda rows: progress.advance(Stage.TOKENS, rows)
    )
    check_length(counted, base)
    learned = canaries(data.train, seed=0)
    asked = questions(tokenizer, learned, find_rare_strings(data.train), seed=0)
    rows = len(data.train) + len(learned)
    decoder, schedule = Decoder.load(base, device), Schedule.of(settings, CHAT, rows)
    train, validation, test = (ChatSize.of(counted).scaled(len(split)) for split in data.splits)
    costs = ChatCosts.of(
        decoder, (train, validation, test), sum(question.tokens for question in asked), schedule
    )
    costs.plan(progress)
    progress.skip()

    sample = counted.take(np.arange(max(1, int((counted.starts[1:] <= _SAMPLE_TOKENS).sum()))))
    frozen = FrozenDecoder(decoder, sample, device)
    if costs.cached:
        frozen.keep(lambda tokens: progress.advance(Stage.EMBEDDING, tokens))
    decoder.adapt(settings.rank)
    learner = ChatLearner(decoder, frozen, None, schedule.batch_rows, progress)
    trainer = Trainer(learner, Schedule.of(settings, CHAT, len(sample)), seed=0, monitor=Silent())
    train_for_a_moment(trainer, progress)
    tokens = round(counted.tokens / len(counted) * len(data.train))
    return Measurement(progress.total_seconds, tokens * schedule.epochs)


def _text(conversation: Conversation) -> str:
    return "".join(message.content for message in conversation.messages)
