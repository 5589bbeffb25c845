"""What a private fine-tune does to every step, and what that guarantees.

Each of `steps` steps takes each record with the same probability, clips its gradient and adds Gaussian noise: DP-SGD
(Abadi et al. 2016). What that adds up to is the RDP of the Poisson-sampled Gaussian mechanism (Mironov, Talwar and
Zhang 2019), turned into (ε, δ) as Balle et al. 2020 do; Opacus computes both.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from opacus.accountants import RDPAccountant

from training.recipe.schedule import Schedule

CLIPPING_NORM = 1.0
"""The most that one record adds to a step's gradient, as an L2 norm. Adam undoes the scale."""

_ORDERS = (*RDPAccountant.DEFAULT_ALPHAS, 96, 128, 192, 256, 512, 1024)
"""Of Rényi divergences: every one gives a bound, and the lowest counts. A small ε has its lowest at a high order."""

_EPSILON_TOLERANCE = 0.005


@dataclass(frozen=True, slots=True)
class Mechanism:
    """The Poisson-sampled Gaussian mechanism, `steps` times over.

    records: the training split's rows; sampling_rate: the probability of each to be in a step; noise_multiplier: the
    noise's standard deviation, in units of `clipping_norm`; delta: of the guarantee.
    """

    records: int
    sampling_rate: float
    noise_multiplier: float
    clipping_norm: float
    steps: int
    delta: float

    @classmethod
    def within(cls, epsilon: float, records: int, schedule: Schedule, beat: Callable[[], None]) -> Self:
        """The one with the least noise that keeps to `epsilon` when `schedule` has ended.

        `beat` is called every fraction of a second.
        """
        delta = delta_for(records)
        rate = min(1.0, schedule.batch_rows / records)

        def spent(noise_multiplier: float) -> float:
            beat()
            return epsilon_after(schedule.steps, noise_multiplier, rate, delta)

        too_little, enough = 0.0, 1.0
        while (reached := spent(enough)) > epsilon:
            too_little, enough = enough, enough * 2
        while reached < epsilon * (1 - _EPSILON_TOLERANCE):
            between = (too_little + enough) / 2
            found = spent(between)
            if found > epsilon:
                too_little = between
            else:
                enough, reached = between, found
        return cls(records, rate, enough, CLIPPING_NORM, schedule.steps, delta)

    @property
    def epsilon(self) -> float:
        """What all steps together guarantee."""
        return epsilon_after(self.steps, self.noise_multiplier, self.sampling_rate, self.delta)

    @property
    def expected_rows(self) -> float:
        """Records in a step, on average."""
        return self.records * self.sampling_rate

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(**value)

    def facts(self) -> dict[str, Any]:
        """What a page tells of it."""
        return {"epsilon": self.epsilon, "expected_rows": self.expected_rows, **self.to_json()}


def delta_for(records: int) -> float:
    """δ, the chance that the guarantee fails: a tenth of one record's share."""
    return 1 / (10 * records)


def epsilon_after(steps: int, noise_multiplier: float, sampling_rate: float, delta: float) -> float:
    """ε after so many steps, as an upper bound; 0 before the first."""
    if steps == 0:
        return 0.0
    accountant = RDPAccountant()
    accountant.history = [(noise_multiplier, sampling_rate, steps)]
    return float(accountant.get_epsilon(delta, alphas=_ORDERS))
