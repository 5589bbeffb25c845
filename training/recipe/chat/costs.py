"""What a fine-tune of a chat model is to compute, in the cost of one token in one layer of the decoder."""

from dataclasses import dataclass

from training.recipe.chat.decoder import Decoder
from training.recipe.chat.samples import MAX_NEW_TOKENS, MAX_SAMPLES
from training.recipe.chat.tokens import TokenizedChats
from training.recipe.frozen import fits
from training.recipe.progress import Progress, Stage
from training.recipe.schedule import Schedule

TEXT = 0.5
"""To render one conversation and make it into tokens."""

_BACKWARD = 2.2
"""A trained layer with its gradient: the frozen maps' own weights need none."""


@dataclass(frozen=True, slots=True)
class ChatSize:
    """The rows of a split, their tokens beyond what all begin with, and those of them that are to be said."""

    rows: int
    tokens: int
    said: int

    @classmethod
    def of(cls, split: TokenizedChats) -> "ChatSize":
        return cls(len(split), split.all_branch_tokens, split.said)

    def scaled(self, rows: int) -> "ChatSize":
        """A split of `rows` rows that are like these."""
        share = rows / max(1, self.rows)
        return ChatSize(rows, round(self.tokens * share), round(self.said * share))


@dataclass(frozen=True, slots=True)
class ChatCosts:
    """How much there is of everything.

    asked: tokens that are read to see what the model remembers; vocabulary: the projection to the vocabulary, in
    layers; cached: whether the frozen layers' outputs are kept.
    """

    train: ChatSize
    validation: ChatSize
    test: ChatSize
    asked: int
    layers: int
    trained_layers: int
    vocabulary: float
    schedule: Schedule
    cached: bool

    @classmethod
    def of(
        cls, decoder: Decoder, sizes: tuple[ChatSize, ChatSize, ChatSize], asked: int, schedule: Schedule
    ) -> "ChatCosts":
        """sizes: of the training, the validation and the test split; asked: as above."""
        train, validation, test = sizes
        return cls(
            train=train,
            validation=validation,
            test=test,
            asked=asked,
            layers=decoder.layers,
            trained_layers=decoder.layers - decoder.first_trained,
            vocabulary=decoder.vocabulary_cost,
            schedule=schedule,
            cached=fits(train.tokens + validation.tokens, decoder.hidden_size, decoder.model.device),
        )

    @property
    def frozen_layers(self) -> int:
        return self.layers - self.trained_layers

    @property
    def repeated_layers(self) -> int:
        """Frozen layers that are computed whenever a row is read."""
        return 0 if self.cached else self.frozen_layers

    @property
    def saying(self) -> float:
        """The projection to the vocabulary, spread over all tokens of the training split."""
        return self.vocabulary * self.train.said / max(1, self.train.tokens)

    @property
    def measured_token(self) -> float:
        """A test token read by the model and by the base, which share the frozen layers."""
        return self.frozen_layers + 2 * (self.trained_layers + self.saying)

    @property
    def asked_token(self) -> float:
        """A token that is read to see what model and base remember, about half of them to be said."""
        return self.frozen_layers + 2 * self.trained_layers + self.vocabulary

    @property
    def answer_token(self) -> float:
        """A token of a sample answer."""
        return self.layers + self.vocabulary

    def plan(self, progress: Progress) -> None:
        """Tell `progress` of everything that is to be done after the texts are tokens.

        The sample answers, of the model and of the base, count as long as they may be.
        """
        kept = self.train.tokens + self.validation.tokens if self.cached else 0
        progress.plan(Stage.EMBEDDING, kept, self.frozen_layers)
        learning = self.trained_layers * _BACKWARD + self.saying * 2
        progress.plan(
            Stage.TRAINING, self.train.tokens * self.schedule.epochs, learning + self.repeated_layers
        )
        validations = 1 + self.schedule.epochs * self.schedule.epoch_validations
        progress.plan(
            Stage.VALIDATION,
            self.validation.tokens * validations,
            self.trained_layers + self.saying + self.repeated_layers,
        )
        answers = 2 * MAX_NEW_TOKENS * min(MAX_SAMPLES, self.test.rows) * self.answer_token
        asked = self.asked * self.asked_token
        progress.plan(Stage.TEST, self.test.tokens * self.measured_token + answers + asked, 1.0)
