"""How fast somebody may ask: who is faster is made to wait."""

import time
from collections.abc import Callable


class Pace:
    """So much a second, and so much at once after a while without (a token bucket)."""

    def __init__(
        self,
        per_second: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._clock = clock
        self._sleep = sleep
        self._last = clock()

    def take(self, amount: float) -> None:
        """Wait until the `amount` before this one has been paid off."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._last) * self._per_second)
        self._last = now
        if self._left < 0:
            self._sleep(-self._left / self._per_second)
        self._left -= amount
