"""How far a fine-tune is, and how long it will still take: from planned work and measured speed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What a fine-tune spends time on, in this order (validation happens between stretches of training)."""

    TOKENS = "tokens"
    EMBEDDING = "embedding"
    PROBE = "probe"
    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(slots=True)
class _Planned:
    units: float
    cost: float
    done: float = 0.0
    earlier: float = 0.0
    seconds: float = 0.0

    @property
    def work(self) -> float:
        return self.units * self.cost

    @property
    def work_done(self) -> float:
        return min(self.units, self.done) * self.cost

    @property
    def measured_work(self) -> float:
        return max(0.0, self.done - self.earlier) * self.cost


class Progress:
    """Planned stages, each with a number of units and what one of them costs relative to the others'.

    The time left is each stage's remaining work at that stage's measured speed, or at the speed of all work so far
    where the stage has not begun.
    """

    def __init__(
        self, beat: Callable[[float, int | None], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._beat = beat
        self._clock = clock
        self._stages: dict[Stage, _Planned] = {}
        self._highest = 0.0
        self._last = clock()

    def plan(self, stage: Stage, units: float, cost: float) -> None:
        """Say how much `stage` is to do."""
        self._stages[stage] = _Planned(units, cost)

    def resume(self, stage: Stage, units: float) -> None:
        """Units of `stage` that an earlier attempt has done, whose time is not known."""
        self._stages[stage].done += units
        self._stages[stage].earlier += units

    def finish(self, stage: Stage) -> None:
        """`stage` is over, whatever was planned."""
        planned = self._stages[stage]
        planned.units = planned.done

    def advance(self, stage: Stage, units: float) -> None:
        """`units` more of `stage` are done; tells the time since the last call, and beats."""
        now = self._clock()
        planned = self._stages[stage]
        planned.done += units
        planned.seconds += now - self._last
        self._last = now
        self._tell()

    def skip(self) -> None:
        """The time since the last call belongs to no stage; beats."""
        self._last = self._clock()
        self._tell()

    def spent(self, stage: Stage) -> float:
        """Seconds that `stage` has taken so far."""
        return self._stages[stage].seconds

    @property
    def total_seconds(self) -> float:
        """How long everything takes at the speed so far, from the beginning to the end."""
        return sum(planned.work * self._pace(planned) for planned in self._stages.values())

    @property
    def seconds_left(self) -> float:
        """How long what is not done takes at the speed so far; 0 before anything was measured."""
        return sum(
            (planned.work - planned.work_done) * self._pace(planned) for planned in self._stages.values()
        )

    def _pace(self, planned: _Planned) -> float:
        """Seconds for one unit of work in a stage: its own, or before it has one that of all work so far."""
        if planned.measured_work > 0:
            return planned.seconds / planned.measured_work
        work = sum(stage.measured_work for stage in self._stages.values())
        return sum(stage.seconds for stage in self._stages.values()) / work if work > 0 else 0.0

    @property
    def _is_measured(self) -> bool:
        """Whether any stage but the first has begun: the texts' tokens say little about how fast the model is."""
        return any(
            planned.measured_work > 0 for stage, planned in self._stages.items() if stage is not Stage.TOKENS
        )

    def _tell(self) -> None:
        total = sum(planned.work for planned in self._stages.values())
        done = sum(planned.work_done for planned in self._stages.values())
        if self._is_measured:
            # Before, the rest is not planned yet, and the texts' tokens look like all there is.
            self._highest = max(self._highest, done / total)
        self._beat(self._highest, round(self.seconds_left) if self._is_measured else None)
