"""What a stored evaluation says of the data in a model: what was promised of each row, and what came back of some."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Stored = TypeVar("Stored", "Privacy", "Remembered")


@dataclass(frozen=True)
class Privacy:
    """What differential privacy guarantees for each row: (ε, δ), and what was done for that.

    The noise's standard deviation is `noise_multiplier` times `clipping_norm`, the most that a row adds to a step.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    clipping_norm: float
    sampling_rate: float
    steps: int
    records: int

    @property
    def odds_factor(self) -> float:
        """By how much the odds that a row was trained on can rise: e^ε, of which a factor of ten or more in whole."""
        factor = math.exp(self.epsilon)
        return round(factor, 1) if factor < 10 else round(factor)


def read_privacy(stored: Mapping[str, Any] | None) -> Privacy | None:
    """What `FineTuneJob.evaluation` says of the guarantee; None where there is none."""
    found = (stored or {}).get("privacy")
    if not found:
        return None
    return _read(Privacy, found)


@dataclass(frozen=True)
class Remembered:
    """A string that was asked for: the row that has it, and its letters and digits covered.

    exposure: by how many bits it is likelier than others of its form, None where it has none; `base_` as the base model
    would have it, which read none of the data.
    """

    row: int
    form: str
    came_back: bool
    base_came_back: bool
    exposure: float | None
    base_exposure: float | None

    @property
    def is_learned(self) -> bool:
        """Whether it came back, and training is why."""
        return self.came_back and not self.base_came_back


@dataclass(frozen=True)
class Memorisation:
    """What a chat model remembers word for word: of canaries, which are made up, and of the data's rarest strings.

    others: how many strings of its form each was compared with.
    """

    others: int
    canaries: Sequence[Remembered]
    strings: Sequence[Remembered]

    @property
    def learned(self) -> Sequence[Remembered]:
        """The data's strings that came back because of the training."""
        return [one for one in self.strings if one.is_learned]

    @property
    def mean_exposure(self) -> float | None:
        """Of the canaries and the strings that have one, in bits; None where none has."""
        found = [one.exposure for one in (*self.canaries, *self.strings) if one.exposure is not None]
        return math.fsum(found) / len(found) if found else None

    @property
    def highest_exposure(self) -> float:
        """Of one that is likelier than all others of its form, in bits."""
        return math.log2(self.others + 1)

    @property
    def chance_exposure(self) -> float:
        """What it is on average where nothing is remembered: every rank is as likely."""
        ranks = self.others + 1
        return math.log2(ranks) - math.fsum(map(math.log2, range(1, ranks + 1))) / ranks


def read_memorisation(stored: Mapping[str, Any] | None) -> Memorisation | None:
    """What `FineTuneJob.evaluation` says of what was remembered; None where nothing was asked."""
    found = (stored or {}).get("memorisation")
    if not found or not (found["canaries"] or found["strings"]):
        return None
    canaries, strings = ([_read(Remembered, one) for one in found[name]] for name in ("canaries", "strings"))
    return Memorisation(found["others"], canaries, strings)


def _read(cls: type[Stored], stored: Mapping[str, Any]) -> Stored:
    """What `stored` has under the names of `cls`; it may have more."""
    return cls(**{field.name: stored[field.name] for field in fields(cls)})
