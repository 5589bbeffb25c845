"""One thing that stands out in a data set, and what its examples are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from training.data.profile import Profile

EXAMPLES = 5

Positions = npt.NDArray[np.int64]


class Severity(StrEnum):
    """An ERROR keeps the data set from being accepted."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in `count` rows, labels or texts. `examples` are (row number, a remark or "")."""

    code: str
    severity: Severity
    title: str
    explanation: str
    action: str
    count: int
    examples: tuple[tuple[int, str], ...] = ()


def count_rows(count: int) -> str:
    """`1 row`, `2 rows`."""
    return "1 row" if count == 1 else f"{count:,} rows"


def examples_at(
    profile: Profile, positions: Positions, remarks: Sequence[str] | None = None
) -> tuple[tuple[int, str], ...]:
    """The first EXAMPLES rows at `positions`, with their remarks."""
    shown = positions[:EXAMPLES]
    return tuple(
        (int(profile.numbers[position]), remarks[index] if remarks else "")
        for index, position in enumerate(shown)
    )
