"""Routes for those who run the pool: is it up, what does it hold, how much does it do."""

from collections import Counter

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from inference.pool.chat.service import NO_CHAT
from inference.pool.service import Pool
from inference.tickets import Use


class OperationRoutes:
    """GET /healthz, /readyz and /metrics, open to the network that reaches the pool; /v1/state with a ticket."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        chat = self._pool.chat
        if not self._pool.dispatcher.engine_pids() or (chat and not chat.process.is_running):
            return JSONResponse({"status": "not ready"}, 503)
        return JSONResponse({"status": "ready", "base_models": self._pool.base_ids})

    async def metrics(self, _request: Request) -> Response:
        metrics, cache = self._pool.metrics, self._pool.cache
        metrics.queued_tokens.set(self._pool.dispatcher.queued_tokens)
        metrics.adapters.set(len(cache))
        metrics.adapter_bytes.set(cache.size_bytes)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def state(self, request: Request) -> Response:
        """What is in memory and what waits, by tenant: for the operator's pages, so it takes a ticket of
        its own."""
        pool = self._pool
        pool.ticket(request, Use.STATE)
        adapters = [
            {
                "tenant": tenant,
                "adapter": adapter.digest,
                "base": adapter.base_id,
                "bytes": adapter.size_bytes,
            }
            for tenant, adapter in pool.cache.resident()
        ]
        chat = await pool.chat.state() if pool.chat else NO_CHAT
        return JSONResponse(
            {
                "base_models": pool.base_ids,
                "adapters": adapters + chat["adapters"],
                "adapter_bytes": pool.cache.size_bytes + chat["adapter_bytes"],
                "adapter_budget_bytes": pool.cache.budget_bytes,
                "engines": pool.dispatcher.engine_pids(),
                "queued_tokens": pool.dispatcher.queued_tokens + chat["queued_tokens"],
                "running_tokens": pool.dispatcher.running_tokens,
                "queues": dict(Counter(pool.dispatcher.queued_tenants()) + Counter(chat["queues"])),
                "chat": {name: chat[name] for name in ("rows", "kv_tokens")},
            }
        )
