"""Messages between the process that trains and its broker: a header of JSON, and bytes. Nothing is ever unpickled.

On the wire a frame is two lengths, 4 and 8 bytes, big-endian, then the header and the body. The header is an object of
strict JSON (no NaN). Nothing here depends on what carries the bytes, but that it is a stream.
"""

import json
import math
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MAX_HEADER_BYTES = 8 << 20
_PIECE = 1 << 20
_LENGTHS = struct.Struct("!IQ")


class Closed(Exception):
    """The other side is gone, or has not said in time what it began to say."""


class Malformed(Exception):
    """What came is no frame; `reason` is one word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """`header` names the operation under "op", or in an answer whether it was done under "ok"."""

    header: Mapping[str, Any]
    body: bytes = field(default=b"", repr=False)


class Channel(Protocol):
    """A way to one other side."""

    def send(self, message: Message) -> None:
        """Raises Closed."""

    def receive(self, most_bytes: Callable[[Mapping[str, Any]], int]) -> Message:
        """The next message. `most_bytes` says, of its header, how long its body may be, before any of it is read.

        Raises Closed, Malformed, and what `most_bytes` does.
        """


class SocketChannel:
    """Frames over a connected stream socket. A message that takes longer than `seconds` is given up."""

    def __init__(self, connection: socket.socket, seconds: float | None = None) -> None:
        self._connection = connection
        self._seconds = seconds

    def send(self, message: Message) -> None:
        header = json.dumps(message.header, allow_nan=False, separators=(",", ":")).encode()
        if len(header) > MAX_HEADER_BYTES:
            raise Malformed("header_too_long")
        self._connection.settimeout(self._seconds)
        try:
            self._connection.sendall(_LENGTHS.pack(len(header), len(message.body)) + header)
            # The other side may have gone for good once it has the header: to send it nothing would fail.
            if message.body:
                self._connection.sendall(message.body)
        except OSError:
            raise Closed from None

    def receive(self, most_bytes: Callable[[Mapping[str, Any]], int]) -> Message:
        deadline = math.inf if self._seconds is None else time.monotonic() + self._seconds
        header_bytes, body_bytes = _LENGTHS.unpack(self._read(_LENGTHS.size, deadline))
        if header_bytes > MAX_HEADER_BYTES:
            raise Malformed("header_too_long")
        header = _parse(self._read(header_bytes, deadline))
        if body_bytes > most_bytes(header):
            raise Malformed("body_too_long")
        return Message(header, self._read(body_bytes, deadline))

    def _read(self, count: int, deadline: float) -> bytes:
        read = bytearray()
        while len(read) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Closed
            self._connection.settimeout(None if math.isinf(left) else left)
            try:
                piece = self._connection.recv(min(_PIECE, count - len(read)))
            except OSError:
                raise Closed from None
            if not piece:
                raise Closed
            read += piece
        return bytes(read)


def strict_json(data: bytes) -> Any:
    """`data` as JSON without NaN, infinities, and names that stand twice in one object. Raises Malformed."""
    try:
        return json.loads(
            data, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_without_doubles
        )
    except (ValueError, RecursionError):
        raise Malformed("not_json") from None


def _parse(data: bytes) -> Mapping[str, Any]:
    header = strict_json(data)
    if not isinstance(header, dict):
        raise Malformed("header_is_no_object")
    return header


def _refuse(_constant: str) -> None:
    raise ValueError


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two they take: what one has checked the next might not see."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value
