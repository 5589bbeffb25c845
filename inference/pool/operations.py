"""Routes for those who run the pool: is it up, what does it hold, how much does it do."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from inference.pool.service import Pool
from inference.tickets import Use


class OperationRoutes:
    """GET /healthz, /readyz and /metrics, open to the network that reaches the pool; /v1/state with a ticket."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        if not self._pool.dispatcher.engine_pids():
            return JSONResponse({"status": "not ready"}, 503)
        return JSONResponse({"status": "ready", "base_models": sorted(self._pool.bases)})

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
        return JSONResponse(
            {
                "base_models": sorted(pool.bases),
                "adapters": adapters,
                "adapter_bytes": pool.cache.size_bytes,
                "adapter_budget_bytes": pool.cache.budget_bytes,
                "engines": pool.dispatcher.engine_pids(),
                "queued_tokens": pool.dispatcher.queued_tokens,
                "running_tokens": pool.dispatcher.running_tokens,
                "queues": pool.dispatcher.queued_tenants(),
            }
        )
