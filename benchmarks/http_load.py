"""Load on an HTTP server: connections that stay open and ask one request after the other."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """What came of it: seconds of each answer that was 200, and how many others there were by status."""

    seconds: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    def add(self, other: "Load") -> None:
        """Count what came of `other` too."""
        self.seconds += other.seconds
        for status, count in other.refused.items():
            self.refused[status] = self.refused.get(status, 0) + count

    def percentile(self, share: float) -> float:
        """Seconds that so large a share (0 to 1) of the answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def post(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """A request, ready to send."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def load(
    port: int, request: Callable[[], bytes], *, connections: int, seconds: float, pause: float = 0.0
) -> Load:
    """Ask `request` after `request` on so many connections for so long; each rests for `pause` after an answer.

    Raises ConnectionError if the server ends a connection.
    """
    result = Load()
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_connection(port, request, until, pause, result))
    return result


class KeptConnections:
    """Connections that are used again once they are answered: as many as there are requests at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        # The longest idle goes first, so that none is idle for so long that the server ends it.
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def exchange(self, request: bytes) -> int:
        """The status of the answer to `request`."""
        if self._idle:
            reader, writer = self._idle.popleft()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request)
            status = await _answer(reader)
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return status


async def _connection(
    port: int, request: Callable[[], bytes], until: float, pause: float, result: Load
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (started := time.perf_counter()) < until:
        writer.write(request())
        status = await _answer(reader)
        if status == 200:
            result.seconds.append(time.perf_counter() - started)
        else:
            result.refused[status] = result.refused.get(status, 0) + 1
        await asyncio.sleep(pause)
    writer.close()
    await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read an answer with a length, and return its status."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
    except asyncio.IncompleteReadError:
        raise ConnectionError("The server ended the connection.") from None
    return int(head[0].split()[1])
