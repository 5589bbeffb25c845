"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable

_INTERVAL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], seconds: float, every: float = _INTERVAL_SECONDS) -> bool:
    """Whether `condition`, asked `every` so many seconds, became true within `seconds`; returns as soon as it is."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= give_up:
            return False
        time.sleep(every)
    return True
