"""What the pool's routes share: what is in memory, the queues before the engine, and who may ask."""

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request

from inference.pool.adapter_cache import AdapterCache, Resident
from inference.pool.base import LoadedBase
from inference.pool.dispatcher import Dispatcher
from inference.pool.engine import Engine
from inference.pool.errors import PoolError
from inference.pool.metrics import PoolMetrics
from inference.pool.settings import PoolSettings
from inference.tickets import InvalidTicket, Ticket, Use, verify


class Pool:
    """One process's pool. `reader` is a thread for what would hold up the event loop."""

    def __init__(self, settings: PoolSettings, bases: Mapping[str, LoadedBase]) -> None:
        self.settings = settings
        self.bases = bases
        self.cache = AdapterCache(settings.adapter_bytes)
        self.metrics = PoolMetrics()
        self.dispatcher = Dispatcher(
            Engine(settings.threads),
            batch_tokens=settings.batch_tokens,
            tenant_queue_tokens=settings.tenant_queue_tokens,
            queue_tokens=settings.queue_tokens,
            metrics=self.metrics,
        )
        # Long texts and adapters' files are read here, one at a time, so that they hold up only each other.
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Requests are answered inside this context."""
        async with self.dispatcher.running():
            yield
        self.reader.shutdown(wait=False, cancel_futures=True)

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
