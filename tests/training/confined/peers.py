"""Both ends of a channel, and small data, for the broker's tests."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from training.confined.broker import USES, Broker
from training.confined.frames import Closed, Message, SocketChannel
from training.confined.remote import Remote
from training.confined.runs import Kind, Run
from training.grants import Errand, Grantor
from training.recipe.data import ClassificationData, Example
from training.recipe.settings import FineTuneSettings

BASE = get_base_model(DEFAULT_BASE_MODEL)
SETTINGS = FineTuneSettings(rank=2)
LABELS = ("a", "b")
PATIENCE = 20


def examples(count: int, first: int = 1) -> list[Example]:
    return [Example(f"text {number}", LABELS[number % 2], number) for number in range(first, first + count)]


DATA = ClassificationData(LABELS, examples(8), examples(2, 9), examples(2, 11))
RUN = Run(Kind.FINE_TUNE, DATA, SETTINGS, BASE, seed=7, checkpoint=b"checkpoint")


@dataclass
class Told:
    """A monitor that remembers what it was told."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments))


@dataclass
class Peer:
    """What the broker of `run` has at the other end of its channel. `outcome` is what it returned or raised."""

    connection: socket.socket
    grantor: Grantor
    monitor: Told
    thread: threading.Thread
    outcome: list[Any]

    @property
    def channel(self) -> SocketChannel:
        return SocketChannel(self.connection, PATIENCE)

    def remote(self) -> Remote:
        """An honest one, which has its order."""
        remote = Remote(self.channel)
        remote.order()
        return remote

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a message, of which the broker may not want to hear the end."""
        with suppress(Closed):
            self.channel.send(Message(header, body))

    def end(self) -> Any:
        """What the broker came to, once it has ended."""
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.outcome[0]


@contextmanager
def serving(run: Run = RUN, monitor: Any = None, seconds: float = PATIENCE) -> Iterator[Peer]:
    """A broker that serves `run`, of whose rows it has a copy, in a thread of this process."""
    train, validation, test = map(list, run.data.splits)
    run = replace(run, data=replace(run.data, train=train, validation=validation, test=test))
    ours, theirs = socket.socketpair()
    monitor = monitor if monitor is not None else Told()
    grantor = Grantor(Errand("tenant", "job", 1, "version", USES[run.kind]))
    outcome: list[Any] = []

    def serve() -> None:
        try:
            outcome.append(Broker(SocketChannel(ours, seconds), grantor, run, monitor).serve())
        except Exception as error:
            outcome.append(error)
        finally:
            ours.close()

    thread = threading.Thread(target=serve)
    with theirs:
        thread.start()
        yield Peer(theirs, grantor, monitor, thread, outcome)
        theirs.close()
        thread.join(PATIENCE)
