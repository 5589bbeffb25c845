"""How long a job goes on: short, since the events of payments wait behind it in the same queue."""

import time
from collections.abc import Callable

Deadline = Callable[[], bool]
"""Whether the time is over, and nothing more is to be begun."""


def within(seconds: float) -> Deadline:
    """A deadline that many seconds from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def never() -> bool:
    """The deadline of what takes as long as it takes."""
    return False
