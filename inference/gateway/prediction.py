"""What a prediction is and why there may be none: shared by the API, the playground and the pool's
client."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.catalogue import Task

MAXIMUM_TEXTS = 256
MAXIMUM_TEXT_BYTES = 32 * 1024
MAXIMUM_TOTAL_BYTES = 512 * 1024
"""Of a request's texts together. More than a model reads of them; to find personal data takes seconds for so much."""


class PredictionError(Exception):
    """There is no prediction; the message says what to do, and is fit to show."""


class ModelNotFound(PredictionError):
    """The tenant has no model of that name."""


class ModelNotReady(PredictionError):
    """The model has no adapter that answers yet."""


class WrongTask(PredictionError):
    """The model is for another task than what was asked of it."""


class NoDefaultModel(PredictionError):
    """The request names no model, and it is not clear which one is to answer."""


class InvalidMessages(PredictionError):
    """A chat that no model can answer; `param` is the field at fault."""

    def __init__(self, message: str, param: str = "messages") -> None:
        super().__init__(message)
        self.param = param


class PromptTooLong(InvalidMessages):
    """The messages together have more tokens than the model reads."""


class _TextError(PredictionError):
    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index

    @property
    def param(self) -> str:
        """The field at fault, as the API names it."""
        return "input" if self.index is None else f"input[{self.index}]"


class InvalidText(_TextError):
    """A text, or the number of them, is not acceptable. `index` counts from 0; None where it is all of
    them."""


class TextTooLong(_TextError):
    """A text has more tokens than the model reads."""


class ModelBroken(PredictionError):
    """The model's adapter does not load, or computes nothing finite."""


class BudgetExceeded(PredictionError):
    """The request could pass a monthly budget."""


class PaymentMissing(PredictionError):
    """The tenant is suspended until it has paid."""


class PoolBusy(PredictionError):
    """A queue is full: the tenant's own (`tenant`), or the pool's. `retry_after` is in seconds."""

    def __init__(self, message: str, *, tenant: bool, retry_after: int) -> None:
        super().__init__(message)
        self.tenant = tenant
        self.retry_after = retry_after


class PoolUnavailable(PredictionError):
    """The pool does not answer, or not as agreed."""


class NotSearched(PredictionError):
    """The search for personal data failed, so that the texts went no further."""


class ClientLeft(PredictionError):
    """Whoever asked has hung up, and waits for no answer."""


@dataclass(frozen=True, slots=True)
class Score:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Replacement:
    """Personal data at [start, end) of a text as it came; what `stands` there now begins at `read_start` of the text as
    the model reads it."""

    start: int
    end: int
    entity: str
    stands: str
    read_start: int

    @property
    def read_end(self) -> int:
        return self.read_start + len(self.stands)


CHOSEN_FROM = 0.5
"""The score from which on a label of a multi-label model is chosen."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the model read of one text: `text`, which has so many tokens, not all of it where `truncated`, and with
    `replacements`."""

    tokens: int
    truncated: bool
    text: str
    replacements: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Result(Read):
    """One text's labels: all of them with their scores, the most likely first; `labels` are the chosen ones.

    Of a classification that is the first, of a multi-label model any number.
    """

    scores: tuple[Score, ...]
    labels: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.scores[0].label

    @property
    def score(self) -> float:
        return self.scores[0].score


@dataclass(frozen=True, slots=True)
class Entity:
    """What [start, end) of the text as it came is, with a score from 0 to 1. `text` is what stands there."""

    start: int
    end: int
    label: str
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class Tagged(Read):
    """One text's entities, in its order."""

    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Embedded(Read):
    """One text as a vector of length 1."""

    vector: list[float]


Of = TypeVar("Of", bound=Read)


@dataclass(frozen=True, slots=True)
class Answers(Generic[Of]):
    """A request's answers, in the order of its texts; `version` is the adapter's (0 for a base model),
    `policy_version` the privacy policy's (0 for the standard one), `seconds` the time it took."""

    request_id: str
    model: str
    task: Task | None
    version: int
    policy_version: int
    results: tuple[Of, ...]
    seconds: float

    @property
    def tokens(self) -> int:
        """What is billed."""
        return sum(result.tokens for result in self.results)


Prediction = Answers[Result]
Tagging = Answers[Tagged]
Embeddings = Answers[Embedded]


def check_texts(texts: Sequence[str]) -> None:
    """Raise InvalidText unless there are 1 to MAXIMUM_TEXTS texts that the pool can take."""
    if not 1 <= len(texts) <= MAXIMUM_TEXTS:
        raise InvalidText(f"Send 1 to {MAXIMUM_TEXTS} texts in one request, not {len(texts)}.")
    total = 0
    for index, text in enumerate(texts):
        if not text.strip():
            raise InvalidText(f"Text {index} is empty.", index)
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise InvalidText(f"Text {index} holds half of a surrogate pair; send UTF-8.", index) from None
        if size > MAXIMUM_TEXT_BYTES:
            raise InvalidText(f"Text {index} has {size} bytes; a text may have {MAXIMUM_TEXT_BYTES}.", index)
        total += size
    if total > MAXIMUM_TOTAL_BYTES:
        raise InvalidText(
            f"The texts have {total} bytes; those of one request may have {MAXIMUM_TOTAL_BYTES}. Send fewer at once."
        )
