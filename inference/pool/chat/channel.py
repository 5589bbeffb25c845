"""Messages between the pool and its chat engine's process: a line of JSON, and bytes where there are any.

Nothing is pickled: what comes from a socket is data, from whichever side.
"""

import json
import threading
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from inference.pool.chat.requests import Delta, Event, Failed, Finished

Message = dict[str, Any]

_EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Delta, Finished, Failed)}


class Channel:
    """One end. Any thread may send; one thread receives."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Message, payload: bytes = b"") -> None:
        """Send a message. Raises OSError if the other end has gone."""
        line = json.dumps(message, separators=(",", ":")).encode()
        with self._sending:
            self._connection.send_bytes(line + b"\n" + payload)

    def receive(self) -> tuple[Message, bytes]:
        """The next message and its bytes. Raises EOFError or OSError if the other end has gone."""
        line, _, payload = self._connection.recv_bytes().partition(b"\n")
        return json.loads(line), payload

    def close(self) -> None:
        self._connection.close()


def event_to_json(event: Event) -> Message:
    return {"event": type(event).__name__, **asdict(event)}


def event_from_json(message: Message) -> Event:
    """What `event_to_json` made."""
    values = dict(message)
    return _EVENTS[values.pop("event")](**values)
