"""What a prediction is and why there may be none: shared by the API, the playground and the pool's
client."""

from collections.abc import Sequence
from dataclasses import dataclass

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


class PoolBusy(PredictionError):
    """A queue is full: the tenant's own (`tenant`), or the pool's. `retry_after` is in seconds."""

    def __init__(self, message: str, *, tenant: bool, retry_after: int) -> None:
        super().__init__(message)
        self.tenant = tenant
        self.retry_after = retry_after


class PoolUnavailable(PredictionError):
    """The pool does not answer, or not as agreed."""


@dataclass(frozen=True, slots=True)
class Score:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Replacement:
    """Personal data at [start, end) of the text as it came, which the model saw as `[ENTITY]`."""

    start: int
    end: int
    entity: str


@dataclass(frozen=True, slots=True)
class Result:
    """One text's answer. `scores` are all labels', the most likely first; `tokens` is what the model
    read."""

    scores: tuple[Score, ...]
    tokens: int
    truncated: bool
    replacements: tuple[Replacement, ...]

    @property
    def label(self) -> str:
        return self.scores[0].label

    @property
    def score(self) -> float:
        return self.scores[0].score


@dataclass(frozen=True, slots=True)
class Prediction:
    """A request's answers, in the order of its texts; `version` is the adapter's, `seconds` the time it
    took."""

    request_id: str
    model: str
    version: int
    results: tuple[Result, ...]
    seconds: float

    @property
    def tokens(self) -> int:
        """What is billed."""
        return sum(result.tokens for result in self.results)


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
