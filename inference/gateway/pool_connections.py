"""Kept HTTP/1.1 connections to the pool, by the standard library: a client with more to offer takes a millisecond more
of each request."""

import io
import json
import select
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from inference.gateway.prediction import ClientLeft

UNREACHABLE = (OSError, HTTPException)
"""What sending and reading raise where the server does not answer, or breaks off."""

_MOST_KEPT = 64
_HANGS_UP = getattr(select, "POLLRDHUP", 0)  # elsewhere than on Linux, POLLHUP comes unasked


class PoolResponse:
    """An answer whose body is yet to be read. Whoever gets one closes it: read to its end, its connection serves the
    next request; otherwise the pool sees it hang up."""

    def __init__(
        self, connections: "Connections", connection: HTTPConnection, response: HTTPResponse
    ) -> None:
        self._connections = connections
        self._connection: HTTPConnection | None = connection
        self._response = response
        self.status = response.status
        self.headers = response.headers

    def json(self) -> Any:
        """The whole body. Raises ValueError where it is not JSON."""
        return json.loads(self._response.read())

    def lines(self) -> Iterator[bytes]:
        """The body line by line, as it comes."""
        return iter(self._response)

    def close(self) -> None:
        """Closing twice changes nothing."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._response.isclosed():
            self._connections.keep(connection)
        else:
            self._response.close()
            connection.close()


class Connections:
    """Connections to the server at `url`, for all threads of a process. Times are in seconds."""

    def __init__(self, url: str, *, connect_seconds: float, answer_seconds: float) -> None:
        parts = urlsplit(url)
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._address = parts.netloc
        self._path = parts.path.rstrip("/")
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._kept: deque[HTTPConnection] = deque()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        client: socket.socket | None = None,
    ) -> PoolResponse:
        """The answer, its status and headers read. `client` is who waits for it.

        Raises one of UNREACHABLE, and ClientLeft where the client hangs up first; reading the body raises the same.
        """
        ask = partial(self._send, method, path, headers, body, client)
        connection = self._find_kept()
        if connection is not None:
            try:
                return ask(connection)
            except (ConnectionError, HTTPException):
                pass  # the server has restarted since. To ask twice is safe: it bills nothing
        return ask(self._connect())

    def keep(self, connection: HTTPConnection) -> None:
        """Take back a connection whose answer was read to its end."""
        if connection.sock is not None and len(self._kept) < _MOST_KEPT:
            self._kept.append(connection)
        else:
            connection.close()

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        client: socket.socket | None,
        connection: HTTPConnection,
    ) -> PoolResponse:
        connection.response_class = partial(_response, client)  # type: ignore[assignment]
        try:
            connection.request(method, self._path + path, body, headers)
            return PoolResponse(self, connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def _find_kept(self) -> HTTPConnection | None:
        while True:
            try:
                connection = self._kept.pop()  # the one used last is the likeliest to be open still
            except IndexError:
                return None
            if not _is_readable(connection.sock):
                return connection
            connection.close()  # nothing was asked, so what there is to read is its end

    def _connect(self) -> HTTPConnection:
        connection = self._kind(self._address, timeout=self._connect_seconds)
        connection.connect()
        connection.sock.settimeout(self._answer_seconds)
        return connection


def _is_readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _response(client: socket.socket | None, sock: socket.socket, **options: Any) -> HTTPResponse:
    return HTTPResponse(sock if client is None else _Watched(sock, client), **options)  # type: ignore[arg-type]


class _Watched:
    """What an HTTPResponse needs of a socket: a file to read, which raises ClientLeft rather than wait for nobody."""

    def __init__(self, sock: socket.socket, client: socket.socket) -> None:
        self._sock = sock
        self._client = client

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_WatchedFile(self._sock, self._client))


class _WatchedFile(io.RawIOBase):
    def __init__(self, sock: socket.socket, client: socket.socket) -> None:
        self._file = sock.makefile("rb", buffering=0)
        self._timeout = sock.gettimeout()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(client, _HANGS_UP)
        self._source = sock.fileno()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        ready = [
            source for source, _ in self._poll.poll(None if self._timeout is None else self._timeout * 1000)
        ]
        if not ready:
            raise TimeoutError("The server does not answer.")
        if self._source not in ready:
            raise ClientLeft("The client hung up before its answer was there.")
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
