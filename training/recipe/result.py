"""What fine-tunes and their dry runs come to."""

from dataclasses import dataclass
from typing import Any


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
class Measurement:
    """How long a fine-tune would take, and how many tokens training would read.

    Of a large data set the tokens of a random sample are counted. privacy: what differential privacy would guarantee
    and take, as in the evaluation; None without.
    """

    seconds: float
    training_tokens: int
    privacy: dict[str, Any] | None = None
