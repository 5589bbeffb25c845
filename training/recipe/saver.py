"""When checkpoints are written, and how they are gone on from."""

import time
from collections.abc import Callable

from training.recipe.checkpoint import Checkpoint, UnreadableCheckpoint
from training.recipe.monitor import Monitor

_SECONDS = 30.0
# So that a full fine-tune's checkpoints, which are large, take a small part of the time.
_SHARE = 20


class Saver:
    """Hands checkpoints to the monitor: about every half minute, and whenever one is wanted."""

    def __init__(
        self, monitor: Monitor, fingerprint: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._monitor = monitor
        self._fingerprint = fingerprint
        self._clock = clock
        self._next = clock() + _SECONDS

    def save(self, make: Callable[[], Checkpoint], *, wanted: bool) -> None:
        """Save what `make` makes, if it is `wanted` or time for it."""
        started = self._clock()
        if wanted or started >= self._next:
            self._monitor.save_checkpoint(make().encode(self._fingerprint))
            ended = self._clock()
            self._next = ended + max(_SECONDS, (ended - started) * _SHARE)

    def resume(self, data: bytes | None) -> Checkpoint | None:
        """The checkpoint to go on from; None where there is none, or none of this fine-tune that can be read."""
        if data is None:
            return None
        try:
            checkpoint = Checkpoint.decode(data, self._fingerprint)
        except UnreadableCheckpoint as error:
            self._monitor.log(f"Training starts from the beginning: the checkpoint cannot be used. {error}")
            return None
        training = checkpoint.values["training"]
        self._monitor.log(
            f"Going on after step {training['step']:,}." if training else "Going on after the probe."
        )
        return checkpoint
