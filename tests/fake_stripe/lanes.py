"""What only one request may be about at a time."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Lanes:
    """Who is where: a lane is free for one at a time, and nobody waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[Hashable] = set()

    @contextmanager
    def entered(self, lane: Hashable | None) -> Iterator[bool]:
        """Take a lane for the block; False where somebody else has it. None is always free."""
        with self._lock:
            is_free = lane is None or lane not in self._taken
            if lane is not None and is_free:
                self._taken.add(lane)
        try:
            yield is_free
        finally:
            if is_free:
                with self._lock:
                    self._taken.discard(lane)
