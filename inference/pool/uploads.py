"""The route that puts an adapter into the pool's memory."""

import asyncio
import time
from hashlib import sha256

import structlog
from starlette.requests import Request
from starlette.responses import Response

from core.catalogue import Task
from inference.pool import bodies
from inference.pool.adapter_blocks import place
from inference.pool.adapter_cache import Resident
from inference.pool.adapter_files import InvalidAdapter, open_file
from inference.pool.adapters import lay_out
from inference.pool.arena import ArenaFull
from inference.pool.errors import PoolError
from inference.pool.service import Pool
from inference.tickets import Ticket, Use

log = structlog.get_logger(__name__)


class UploadRoutes:
    """PUT /v1/adapters/{digest}, for the tenant and the adapter that the ticket names."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_adapter(self, request: Request) -> Response:
        """Read the body as an adapter's file and keep it in memory."""
        ticket = self._pool.ticket(request, Use.PREDICT)
        digest = request.path_params["digest"]
        if digest != ticket.adapter:
            raise PoolError(403, "wrong_adapter", "The ticket is for another adapter.")
        data = await bodies.read(request, self._pool.settings.adapter_bytes)
        started = time.perf_counter()
        try:
            task, size = await self._keep(ticket, data)
        except InvalidAdapter as error:
            log.warning("adapter_refused", tenant_id=ticket.tenant, adapter=digest, reason=str(error))
            raise PoolError(422, "invalid_adapter", str(error)) from None
        except ArenaFull as full:
            raise PoolError(503, "pool_full", str(full), retry_after=1) from None
        log.info(
            "adapter_loaded",
            tenant_id=ticket.tenant,
            adapter=digest,
            task=task,
            bytes=size,
            ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return Response(status_code=204)

    async def _keep(self, ticket: Ticket, data: bytes) -> tuple[Task, int]:
        """Put the file where the engine of its base reads it; its task, and the bytes that it takes there."""
        chat = self._pool.chat
        if chat is not None and ticket.base == chat.prompts.base_id:
            return Task.CHAT, await chat.add_adapter(ticket, data)
        loop = asyncio.get_running_loop()
        adapter = await loop.run_in_executor(self._pool.loader, self._place, data, ticket.adapter)
        self._pool.cache.add(ticket.tenant, adapter)
        return adapter.task, adapter.size_bytes

    def _place(self, data: bytes, digest: str) -> Resident:
        if sha256(data).hexdigest() != digest:
            raise InvalidAdapter("The file is not the one that the ticket names: its SHA-256 differs.")
        return place(lay_out(open_file(data), self._pool.bases), self._pool.arena)
