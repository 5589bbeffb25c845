"""The pool's side of the chat engine's process: started, spoken to, watched, and started anew when it dies."""

import asyncio
import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict, dataclass
from itertools import count
from multiprocessing import Pipe
from typing import Any

import structlog

from inference.pool.adapter_files import InvalidAdapter
from inference.pool.chat.channel import Channel, Message, event_from_json
from inference.pool.chat.engine import ChatLimits
from inference.pool.chat.requests import Delta, Event, Failed
from inference.pool.precision import Precision

log = structlog.get_logger(__name__)

_RESTART_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_SECRETS = ("POOL_TICKET_KEY",)


class ChatProcessLost(Exception):
    """The chat engine's process has died, or is not there yet."""


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the process is started with. `adapter_bytes` bounds the adapters in its memory."""

    base_id: str
    limits: ChatLimits
    threads: int
    precision: Precision
    adapter_bytes: int
    log_level: str


class ChatProcess:
    """The engine in a process of its own, so that its loop never holds the GIL of the event loop.

    Every method runs on the event loop. The process gets no ticket key, and ends with this one.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._outbox: queue.SimpleQueue[tuple[Message, bytes] | None] = queue.SimpleQueue()
        self._answers: dict[str, asyncio.Queue[Event]] = {}
        self._calls: dict[int, asyncio.Future[Message]] = {}
        self._numbers = count(1)
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The process runs inside this context, and requests are answered once it is `ready`."""
        self._start()
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.get_running_loop().run_in_executor(None, self._stop)

    async def ready(self) -> None:
        """Return once requests are answered. Raises ChatProcessLost if the process dies before."""
        lost = asyncio.create_task(self._lost.wait())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait((lost, ready), return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        ready.cancel()
        if not self.is_running:
            raise ChatProcessLost("The chat engine did not start: its own message says why.")

    @property
    def is_running(self) -> bool:
        return self._ready.is_set()

    async def answer(self, request: Message) -> AsyncGenerator[Event]:
        """The events of a request, up to the one that ends it: its id, tenant, prompt, and all that ChatRequest has.

        To leave this iterator early is to cancel the request.
        """
        if not self.is_running:
            yield Failed(request["id"], "engine_failed", "The chat engine is starting again.")
            return
        events: asyncio.Queue[Event] = asyncio.Queue()
        self._answers[request["id"]] = events
        self._send({"do": "request", **request})
        ended = False
        try:
            while not ended:
                event = await events.get()
                ended = not isinstance(event, Delta)
                yield event
        finally:
            del self._answers[request["id"]]
            if not ended:
                self._send({"do": "cancel", "id": request["id"]})

    async def add_adapter(self, tenant: str, digest: str, data: bytes) -> int:
        """Put an adapter's file into the engine's memory, and return the bytes that it takes there.

        Raises InvalidAdapter or ChatProcessLost.
        """
        reply = await self._call({"do": "adapter", "tenant": tenant, "digest": digest}, data)
        if "invalid" in reply:
            raise InvalidAdapter(reply["invalid"])
        size: int = reply["bytes"]
        return size

    async def state(self) -> dict[str, Any]:
        """What the engine holds and what waits: see Worker. Raises ChatProcessLost."""
        reply = await self._call({"do": "state"})
        state: dict[str, Any] = reply["state"]
        return state

    async def _call(self, message: Message, payload: bytes = b"") -> Message:
        if not self.is_running:
            raise ChatProcessLost("The chat engine is starting again.")
        number = next(self._numbers)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._calls[number] = reply
        self._send({**message, "call": number}, payload)
        try:
            return await reply
        finally:
            del self._calls[number]

    def _start(self) -> None:
        ours, theirs = Pipe()
        # The kernel ends the child with the thread that makes it: this is the main one, which runs the event loop.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "inference.pool.chat", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=_environ(self._settings.threads),
        )
        theirs.close()
        channel = Channel(ours)
        self._outbox = queue.SimpleQueue()
        self._lost.clear()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._receive, args=(channel, loop), name="chat-in", daemon=True).start()
        threading.Thread(target=_forward, args=(channel, self._outbox), name="chat-out", daemon=True).start()
        settings = self._settings
        self._send(
            {
                "parent": os.getpid(),
                "base": settings.base_id,
                "limits": asdict(settings.limits),
                "threads": settings.threads,
                "precision": settings.precision,
                "adapter_bytes": settings.adapter_bytes,
                "log_level": settings.log_level,
            }
        )

    def _stop(self) -> None:
        self._outbox.put(None)
        assert self._process is not None
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def _watch(self) -> None:
        """Start the process again whenever it has died."""
        while True:
            await self._lost.wait()
            assert self._process is not None
            log.error("chat_engine_lost", status=self._process.poll())
            await asyncio.sleep(_RESTART_SECONDS)
            self._process.wait()
            self._start()

    def _send(self, message: Message, payload: bytes = b"") -> None:
        self._outbox.put((message, payload))

    def _receive(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own: hand every message to the event loop."""
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            while True:
                try:
                    message, _ = channel.receive()
                except (EOFError, OSError):
                    channel.close()
                    loop.call_soon_threadsafe(self._end_all)
                    return
                loop.call_soon_threadsafe(self._take, message)

    def _take(self, message: Message) -> None:
        if "ready" in message:
            self._ready.set()
        for value in message.get("events", ()):
            event = event_from_json(value)
            # A request that nobody waits for any more is being cancelled.
            if event.id in self._answers:
                self._answers[event.id].put_nowait(event)
        reply = self._calls.get(message.get("call", 0))
        if reply is not None and not reply.done():
            reply.set_result(message)

    def _end_all(self) -> None:
        """The process is gone, and with it all that it was asked."""
        self._ready.clear()
        self._lost.set()
        self._outbox.put(None)
        for request_id, events in self._answers.items():
            events.put_nowait(Failed(request_id, "engine_failed", "The chat engine failed."))
        for reply in self._calls.values():
            if not reply.done():
                reply.set_exception(ChatProcessLost("The chat engine failed."))


def _environ(threads: int) -> dict[str, str]:
    """The process's environment: no secret, and no waiting of idle threads that takes a core from another engine."""
    own = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return own | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _forward(channel: Channel, outbox: "queue.SimpleQueue[tuple[Message, bytes] | None]") -> None:
    """In a thread of its own, for an adapter's file is large: send what is put out, until None, which ends the
    process."""
    with contextlib.suppress(OSError):  # It has ended already.
        while (item := outbox.get()) is not None:
            channel.send(*item)
        channel.send({"do": "end"})
