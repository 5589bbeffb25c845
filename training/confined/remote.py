"""The broker as the process that trains sees it: somewhere to read rows from, and somebody to report to."""

import math
import time
from collections.abc import Callable
from typing import Any

from core.models.fine_tune_jobs import JobStatus
from training.confined.frames import Channel, Message
from training.confined.runs import SPLITS, Order, read_page
from training.recipe.data import TrainingData

_BEAT_SECONDS = 0.2
_LONGEST_ANSWER = 1 << 31


class Remote:
    """Sends operations with the latest `grant`. It trusts what it hears."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._version = ""
        self.grant = ""

    def order(self) -> Order:
        """Wait for what is to be done."""
        header = self._receive().header
        self._version = header["version"]
        return Order.read(header["order"])

    def ask(self, operation: str, body: bytes = b"", **values: Any) -> Message:
        """Send an operation, and wait for the answer."""
        self.end(operation, body, **values)
        return self._receive()

    def end(self, operation: str, body: bytes = b"", **values: Any) -> None:
        """Send the last operation, which has no answer."""
        self._channel.send(Message({"op": operation, "grant": self.grant, **values}, body))

    def data(self, order: Order) -> TrainingData[Any]:
        """All of the run's rows."""
        splits = []
        for split, size in zip(SPLITS, order.sizes, strict=True):
            examples: list[Any] = []
            while len(examples) < size:
                answer = self.ask("rows", version=self._version, split=split, start=len(examples))
                examples += read_page(order.task, answer.body)
            splits.append(examples)
        return order.data(splits)

    def checkpoint(self) -> bytes | None:
        answer = self.ask("checkpoint")
        return answer.body if answer.header["found"] else None

    def _receive(self) -> Message:
        message = self._channel.receive(lambda _header: _LONGEST_ANSWER)
        self.grant = message.header["grant"]
        return message


class RemoteMonitor:
    """The recipe's Monitor, which tells the broker. Points of curves go with what is told next."""

    def __init__(self, remote: Remote, clock: Callable[[], float] = time.monotonic) -> None:
        self._remote = remote
        self._clock = clock
        self._beaten = -math.inf
        self._points: list[tuple[str, int, float, float]] = []

    def phase(self, status: JobStatus, message: str) -> None:
        self.flush()
        self._remote.ask("phase", status=status.value, message=message)

    def will_read(self, training_tokens: int) -> None:
        self._remote.ask("will_read", training_tokens=training_tokens)

    def beat(self, progress: float, eta_seconds: int | None) -> None:
        now = self._clock()
        if now - self._beaten >= _BEAT_SECONDS:
            self._beaten = now
            self.flush()
            self._remote.ask("beat", progress=min(1.0, max(0.0, progress)), eta_seconds=eta_seconds)

    def metric(self, name: str, step: int, epoch: float, value: float) -> None:
        if math.isfinite(value):
            self._points.append((name, step, epoch, value))

    def log(self, message: str) -> None:
        self._remote.ask("log", message=message)

    def save_checkpoint(self, data: bytes) -> None:
        self.flush()
        self._remote.ask("save", data)

    def flush(self) -> None:
        """Tell the points of curves that have not been told."""
        if self._points:
            self._remote.ask("metrics", points=self._points)
            self._points = []
