"""What the pool's routes share: what is in memory, the queues before the engine, and who may ask."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from starlette.requests import Request

from inference.pool.adapter_cache import AdapterCache, Resident
from inference.pool.arena import Arena
from inference.pool.base import LoadedBase
from inference.pool.chat.service import ChatService
from inference.pool.dispatcher import Dispatcher
from inference.pool.engine_client import EngineClient, EngineSettings
from inference.pool.errors import PoolError
from inference.pool.metrics import PoolMetrics
from inference.pool.settings import PoolSettings
from inference.pool.shards import ShardedDispatcher
from inference.tickets import InvalidTicket, Ticket, Use, verify

_ADDRESSES_PER_BYTE = 4
"""Room in the arena beyond the cache's budget: for gaps, and for adapters that left while their rows still queue."""


MakeDispatcher = Callable[[PoolSettings, tuple[str, ...], Arena, PoolMetrics], Dispatcher | ShardedDispatcher]
"""From the settings, the encoders' ids, where adapters are, and the metrics to count in."""


def on_this_machine(
    settings: PoolSettings, encoders: tuple[str, ...], arena: Arena, metrics: PoolMetrics
) -> Dispatcher:
    """A dispatcher whose engines are processes of this machine."""
    engine = EngineSettings(arena.descriptor, encoders, settings.precision, settings.threads)
    return Dispatcher(
        partial(EngineClient.start, engine),
        engines=settings.engines,
        batch_tokens=settings.batch_tokens,
        tenant_queue_tokens=settings.tenant_queue_tokens,
        queue_tokens=settings.queue_tokens,
        metrics=metrics,
    )


class Pool:
    """One process's pool. `reader` tokenises long texts and `loader` reads adapters' files, off the event loop."""

    def __init__(
        self,
        settings: PoolSettings,
        bases: Mapping[str, LoadedBase],
        make_dispatcher: MakeDispatcher = on_this_machine,
        chat: ChatService | None = None,
    ) -> None:
        self.settings = settings
        self.bases = bases
        self.chat = chat
        self.cache = AdapterCache(settings.adapter_bytes)
        self.arena = Arena(_ADDRESSES_PER_BYTE * settings.adapter_bytes)
        self.metrics = PoolMetrics()
        self.dispatcher = make_dispatcher(settings, tuple(bases), self.arena, self.metrics)
        # One thread each: long texts hold up only long texts, and cold adapters only cold adapters.
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self.loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Requests are answered inside this context."""
        chat = self.chat.process.running() if self.chat else contextlib.nullcontext()
        async with chat, self.dispatcher.running():
            if self.chat:
                await self.chat.process.ready()
            yield
        for thread in (self.reader, self.loader):
            thread.shutdown(wait=False, cancel_futures=True)

    @property
    def base_ids(self) -> list[str]:
        """The ids of all base models that the pool serves, sorted."""
        return sorted([*self.bases, *([self.chat.prompts.base_id] if self.chat else [])])

    def ticket(self, request: Request, use: Use) -> Ticket:
        """The ticket that came with the request. Raises PoolError unless it is good for `use`."""
        value = request.headers.get("X-Ticket", "")
        try:
            return verify(value, self.settings.ticket_key, use=use, now=time.time())
        except InvalidTicket as error:
            raise PoolError(401, "invalid_ticket", str(error)) from None

    def adapter(self, ticket: Ticket) -> Resident:
        """The adapter that the ticket names, of whatever task. Raises PoolError if it is not in memory."""
        adapter = self.cache.find(ticket.tenant, ticket.adapter)
        if adapter is None:
            raise PoolError(409, "adapter_needed", "The adapter is not in memory: send it and ask again.")
        if adapter.base_id != ticket.base:
            raise PoolError(
                422, "wrong_base", f"The adapter belongs to {adapter.base_id}, not to {ticket.base}."
            )
        return adapter
