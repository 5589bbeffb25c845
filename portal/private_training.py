"""What a stored evaluation says of the data in a model: what was promised of each row, and what came back of some."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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


def read_privacy(stored: Mapping[str, Any] | None) -> Privacy | None:
    """What `FineTuneJob.evaluation` says of the guarantee; None where there is none."""
    found = (stored or {}).get("privacy")
    if not found:
        return None
    return Privacy(
        epsilon=found["epsilon"],
        delta=found["delta"],
        noise_multiplier=found["noise_multiplier"],
        clipping_norm=found["clipping_norm"],
        sampling_rate=found["sampling_rate"],
        steps=found["steps"],
        records=found["records"],
    )
