"""Failures on demand: what the network and Stripe itself do on a bad day."""

from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """TIMEOUT_BEFORE: the request never arrives. TIMEOUT_AFTER: it is done, and the answer is lost. RESET: as the
    first, by a closed connection. RATE_LIMITED and BROKEN are the answers 429 and 500."""

    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    RESET = "reset"
    RATE_LIMITED = "rate_limited"
    BROKEN = "broken"


@dataclass
class Planned:
    """A failure of the next `times` requests of a method to paths that begin so."""

    failure: Failure
    method: str
    path: str
    times: int

    def meets(self, method: str, path: str) -> bool:
        return self.times > 0 and method == self.method and path.startswith(self.path)


class Failures:
    """The failures to come."""

    def __init__(self) -> None:
        self._planned: list[Planned] = []

    def plan(self, failure: Failure, path: str = "/", *, method: str = "post", times: int = 1) -> None:
        """Let the next requests to a path fail."""
        self._planned.append(Planned(failure, method, path, times))

    def clear(self) -> None:
        """Let nothing fail any more."""
        self._planned.clear()

    def take(self, method: str, path: str) -> Failure | None:
        """The failure that this request meets."""
        for planned in self._planned:
            if planned.meets(method, path):
                planned.times -= 1
                return planned.failure
        return None
