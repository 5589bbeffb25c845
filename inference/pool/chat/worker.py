"""The chat engine's process: messages in, steps, events out.

One thread reads messages and takes adapters' files apart, so that a cold adapter does not hold up the rows that decode;
the other owns the engine.
"""

import math
import queue
import threading
import time
import traceback
from dataclasses import dataclass
from hashlib import sha256

import structlog

from inference.pool.adapter_cache import AdapterCache
from inference.pool.adapter_files import InvalidAdapter, open_file
from inference.pool.chat.adapters import ChatAdapter, lay_out
from inference.pool.chat.channel import Channel, Message, event_to_json
from inference.pool.chat.engine import ChatEngine, PromptTooLong
from inference.pool.chat.requests import ChatRequest, Event, Failed
from inference.pool.chat.sampling import Sampling
from inference.pool.scheduler import PoolQueueFull, QueueFull

log = structlog.get_logger(__name__)

_FIRST_GUESS_TOKENS_PER_SECOND = 100.0
_SMOOTHING = 0.2
_LONGEST_RETRY_SECONDS = 30


class Refused(Exception):
    """A request that is not answered: its code, and what to do."""

    def __init__(self, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the reading thread made of an adapter's file."""

    tenant: str
    call: int
    adapter: ChatAdapter | InvalidAdapter


class Worker:
    """Runs an engine for the pool at the other end of `channel`."""

    def __init__(self, channel: Channel, engine: ChatEngine, adapter_bytes: int) -> None:
        self._channel = channel
        self._engine = engine
        self._cache = AdapterCache(adapter_bytes)
        self._inbox: queue.SimpleQueue[Message | _Opened | None] = queue.SimpleQueue()
        self._tokens_per_second = _FIRST_GUESS_TOKENS_PER_SECOND

    def run(self) -> None:
        """Answer until the other end is gone."""
        threading.Thread(target=self._receive, name="receiver", daemon=True).start()
        self._channel.send({"ready": True})
        while self._take_messages():
            if self._engine.busy:
                self._send(self._step())

    def _receive(self) -> None:
        while True:
            try:
                message, payload = self._channel.receive()
            except (EOFError, OSError):
                message, payload = {"do": "end"}, b""
            if message["do"] == "end":
                self._inbox.put(None)
                return
            self._inbox.put(self._open(message, payload) if message["do"] == "adapter" else message)

    def _open(self, message: Message, payload: bytes) -> _Opened:
        adapter: ChatAdapter | InvalidAdapter
        try:
            adapter = self._lay_out(payload, message["digest"])
        except InvalidAdapter as error:
            adapter = error
        return _Opened(message["tenant"], message["call"], adapter)

    def _lay_out(self, data: bytes, digest: str) -> ChatAdapter:
        if sha256(data).hexdigest() != digest:
            raise InvalidAdapter("The file is not the one that the ticket names: its SHA-256 differs.")
        return lay_out(open_file(data), self._engine.base)

    def _take_messages(self) -> bool:
        """Do what has been asked; wait for it if there is nothing else to do. False at the end."""
        while True:
            try:
                message = self._inbox.get(block=not self._engine.busy)
            except queue.Empty:
                return True
            if message is None:
                return False
            if isinstance(message, _Opened):
                self._keep(message)
            else:
                self._do(message)

    def _do(self, message: Message) -> None:
        match message["do"]:
            case "request":
                try:
                    self._add(message)
                except Refused as refused:
                    self._send(
                        [Failed(message["id"], refused.code, str(refused), retry_after=refused.retry_after)]
                    )
            case "cancel":
                self._engine.cancel(message["id"])
            case "state":
                self._channel.send({"call": message["call"], "state": self._state()})

    def _add(self, message: Message) -> None:
        request = ChatRequest(
            id=message["id"],
            tenant=message["tenant"],
            prompt=tuple(message["prompt"]),
            deadline=message["deadline"],
            adapter=self._adapter(message["tenant"], message["adapter"]),
            weight=message["weight"],
            max_tokens=message["max_tokens"],
            stop=tuple(message["stop"]),
            sampling=Sampling(**message["sampling"]),
        )
        try:
            self._engine.add(request)
        except QueueFull as full:
            code = "pool_full" if isinstance(full, PoolQueueFull) else "tenant_queue_full"
            raise Refused(code, str(full), self._retry_after(full.queued_tokens)) from None
        except PromptTooLong as error:
            raise Refused("prompt_too_long", str(error)) from None

    def _adapter(self, tenant: str, digest: str) -> ChatAdapter | None:
        if not digest:
            return None
        adapter = self._cache.find(tenant, digest)
        if not isinstance(adapter, ChatAdapter):
            raise Refused("adapter_needed", "The adapter is not in memory: send it and ask again.")
        return adapter

    def _keep(self, opened: _Opened) -> None:
        try:
            if isinstance(opened.adapter, InvalidAdapter):
                raise opened.adapter
            self._cache.add(opened.tenant, opened.adapter)
        except InvalidAdapter as error:
            self._channel.send({"call": opened.call, "invalid": str(error)})
        else:
            self._channel.send({"call": opened.call, "bytes": opened.adapter.size_bytes})

    def _step(self) -> list[Event]:
        before, started = self._engine.tokens_read, time.perf_counter()
        try:
            events = self._engine.step(time.time())
        except Exception as error:
            # Requests and adapters are checked, so this is the engine's fault and every row's misfortune. The error's
            # own words may quote a value of the batch; where it happened says enough.
            places = traceback.format_tb(error.__traceback__)
            log.error("step_failed", error=type(error).__name__, places=places, rows=self._engine.live_rows)
            return self._engine.abandon()
        tokens = self._engine.tokens_read - before
        if tokens:
            rate = tokens / (time.perf_counter() - started)
            self._tokens_per_second += _SMOOTHING * (rate - self._tokens_per_second)
        return events

    def _send(self, events: list[Event]) -> None:
        if events:
            self._channel.send({"events": [event_to_json(event) for event in events]})

    def _retry_after(self, queued_tokens: int) -> int:
        return max(1, min(_LONGEST_RETRY_SECONDS, math.ceil(queued_tokens / self._tokens_per_second)))

    def _state(self) -> Message:
        engine = self._engine
        return {
            "adapters": [
                {
                    "tenant": tenant,
                    "adapter": adapter.digest,
                    "base": adapter.base_id,
                    "bytes": adapter.size_bytes,
                }
                for tenant, adapter in self._cache.resident()
            ],
            "adapter_bytes": self._cache.size_bytes,
            "rows": engine.live_rows,
            "kv_tokens": engine.reserved_tokens,
            "queued_tokens": engine.queued_tokens,
            "queues": engine.queued_tenants(),
        }
