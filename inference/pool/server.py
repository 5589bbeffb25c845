"""The pool over HTTP: tickets in, scores out. Nothing of a text outlives its request, and none is
logged."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inference.pool.adapters import Adapter, AdapterCache, InvalidAdapter, parse
from inference.pool.base import LoadedBase, cut
from inference.pool.dispatcher import DeadlinePassed, Dispatcher, EngineFailed
from inference.pool.engine import Engine, Row
from inference.pool.metrics import PoolMetrics
from inference.pool.scheduler import PoolQueueFull, QueueFull, TenantQueueFull
from inference.pool.settings import PoolSettings
from inference.tickets import InvalidTicket, Ticket, Use, verify

log = structlog.get_logger(__name__)

MAXIMUM_BODY = 16 << 20
"""Bytes: the gateway takes 4 MB, and placeholders for personal data can be longer than what they replace."""

_INLINE_CHARACTERS = 8192

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PoolError(Exception):
    """An answer other than 200: its status, its code for the gateway, and what else the gateway needs."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None, **detail: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    def response(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse({"error": self.code, "message": str(self), **self.detail}, self.status, headers)


class Pool:
    """The service behind the routes."""

    def __init__(self, settings: PoolSettings, bases: Mapping[str, LoadedBase]) -> None:
        self._settings = settings
        self._bases = bases
        self._cache = AdapterCache(settings.adapter_bytes)
        self._metrics = PoolMetrics()
        self._dispatcher = Dispatcher(
            Engine(settings.threads),
            batch_tokens=settings.batch_tokens,
            tenant_queue_tokens=settings.tenant_queue_tokens,
            queue_tokens=settings.queue_tokens,
            metrics=self._metrics,
        )
        # Long texts and adapters' files are read here, one at a time, so that they hold up only each other.
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self._runner: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._runner = asyncio.create_task(self._dispatcher.run())
        yield
        self._runner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._runner
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def classify(self, request: Request) -> Response:
        ticket = self._ticket(request, Use.PREDICT)
        started = time.perf_counter()
        try:
            answer, tokens = await self._classify(request, ticket)
        except PoolError as error:
            self._metrics.requests.labels(ticket.tier, error.code).inc()
            raise
        seconds = time.perf_counter() - started
        self._metrics.requests.labels(ticket.tier, "ok").inc()
        self._metrics.rows.labels(ticket.tier).inc(len(answer["results"]))
        self._metrics.tokens.labels(ticket.tier).inc(tokens)
        self._metrics.request_seconds.labels(ticket.tier).observe(seconds)
        log.info(
            "classified",
            request_id=ticket.request,
            tenant_id=ticket.tenant,
            rows=len(answer["results"]),
            tokens=tokens,
            ms=round(seconds * 1000, 1),
        )
        return JSONResponse(answer)

    async def _classify(self, request: Request, ticket: Ticket) -> tuple[dict[str, Any], int]:
        texts, truncate = _parse_body(await _read(request, MAXIMUM_BODY))
        adapter = self._adapter(ticket)
        tokens = await self._tokenise(adapter, texts)
        truncated = [len(ids) > adapter.max_length for ids in tokens]
        if any(truncated) and not truncate:
            index = truncated.index(True)
            raise PoolError(
                422,
                "text_too_long",
                f"Text {index} has {len(tokens[index])} tokens; the model reads {adapter.max_length}.",
                index=index,
                tokens=len(tokens[index]),
                max_length=adapter.max_length,
            )
        rows = [Row(cut(ids, adapter.max_length), adapter) for ids in tokens]
        results = await self._run(ticket, rows)
        if any(scores is None for scores in results):
            raise PoolError(422, "adapter_broken", "The adapter computes numbers that are not finite.")
        counts = [len(row.ids) for row in rows]
        answer = {
            "results": [
                {"scores": dict(zip(adapter.labels, scores or (), strict=True))} for scores in results
            ],
            "tokens": counts,
            "truncated": truncated,
        }
        return answer, sum(counts)

    async def _run(self, ticket: Ticket, rows: list[Row]) -> list[tuple[float, ...] | None]:
        try:
            return await self._dispatcher.classify(
                ticket.tenant, rows, deadline=ticket.expires, weight=ticket.weight
            )
        except QueueFull as full:
            status, code = {TenantQueueFull: (429, "tenant_queue_full"), PoolQueueFull: (503, "pool_full")}[
                type(full)
            ]
            wait = self._dispatcher.retry_after(full.queued_tokens)
            raise PoolError(status, code, str(full), retry_after=wait) from None
        except DeadlinePassed as late:
            wait = self._dispatcher.retry_after(self._dispatcher.queued_tokens)
            raise PoolError(504, "deadline", str(late), retry_after=wait) from None
        except EngineFailed as failure:
            raise PoolError(500, "engine_failed", str(failure)) from None

    async def add_adapter(self, request: Request) -> Response:
        ticket = self._ticket(request, Use.PREDICT)
        digest = request.path_params["digest"]
        if digest != ticket.adapter:
            raise PoolError(403, "wrong_adapter", "The ticket is for another adapter.")
        data = await _read(request, self._settings.adapter_bytes)
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            adapter = await loop.run_in_executor(self._reader, self._parse, data, digest)
            self._cache.add(ticket.tenant, adapter)
        except InvalidAdapter as error:
            log.warning("adapter_refused", tenant_id=ticket.tenant, adapter=digest, reason=str(error))
            raise PoolError(422, "invalid_adapter", str(error)) from None
        log.info(
            "adapter_loaded",
            tenant_id=ticket.tenant,
            adapter=digest,
            bytes=adapter.size_bytes,
            ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return Response(status_code=204)

    def _parse(self, data: bytes, digest: str) -> Adapter:
        if sha256(data).hexdigest() != digest:
            raise InvalidAdapter("The file is not the one that the ticket names: its SHA-256 differs.")
        return parse(data, self._bases)

    def _adapter(self, ticket: Ticket) -> Adapter:
        adapter = self._cache.find(ticket.tenant, ticket.adapter)
        if adapter is None:
            raise PoolError(409, "adapter_needed", "The adapter is not in memory: send it and ask again.")
        if adapter.base.id != ticket.base:
            raise PoolError(
                422, "wrong_base", f"The adapter belongs to {adapter.base.id}, not to {ticket.base}."
            )
        return adapter

    async def _tokenise(self, adapter: Adapter, texts: list[str]) -> list[list[int]]:
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return adapter.base.tokenise(texts)
        return await asyncio.get_running_loop().run_in_executor(self._reader, adapter.base.tokenise, texts)

    def _ticket(self, request: Request, use: Use) -> Ticket:
        value = request.headers.get("X-Ticket", "")
        try:
            return verify(value, self._settings.ticket_key, use=use, now=time.time())
        except InvalidTicket as error:
            raise PoolError(401, "invalid_ticket", str(error)) from None

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        if self._runner is None or self._runner.done():
            return JSONResponse({"status": "not ready"}, 503)
        return JSONResponse({"status": "ready", "base_models": sorted(self._bases)})

    async def metrics(self, _request: Request) -> Response:
        self._metrics.queued_tokens.set(self._dispatcher.queued_tokens)
        self._metrics.adapters.set(len(self._cache))
        self._metrics.adapter_bytes.set(self._cache.size_bytes)
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def state(self, request: Request) -> Response:
        """What is in memory and what waits, by tenant: for the operator's pages, so it takes a ticket of
        its own."""
        self._ticket(request, Use.STATE)
        adapters = [
            {
                "tenant": tenant,
                "adapter": adapter.digest,
                "base": adapter.base.id,
                "bytes": adapter.size_bytes,
            }
            for tenant, adapter in self._cache.resident()
        ]
        return JSONResponse(
            {
                "base_models": sorted(self._bases),
                "adapters": adapters,
                "adapter_bytes": self._cache.size_bytes,
                "adapter_budget_bytes": self._cache.budget_bytes,
                "queued_tokens": self._dispatcher.queued_tokens,
                "queues": self._dispatcher.queued_tenants(),
            }
        )


def create_app(settings: PoolSettings, bases: Mapping[str, LoadedBase]) -> Starlette:
    """The pool's ASGI app. Its routes ask for a ticket themselves, but for health and metrics."""
    pool = Pool(settings, bases)
    return Starlette(
        routes=[
            Route("/v1/classify", pool.classify, methods=["POST"]),
            Route("/v1/adapters/{digest}", pool.add_adapter, methods=["PUT"]),
            Route("/v1/state", pool.state),
            Route("/healthz", pool.health),
            Route("/readyz", pool.ready),
            Route("/metrics", pool.metrics),
        ],
        exception_handlers={PoolError: _answer_error, ClientDisconnect: _answer_nobody},
        lifespan=pool.lifespan,
    )


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, PoolError)
    return error.response()


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


async def _read(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes: counted as it comes, for a length that is claimed may be a
    lie."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise PoolError(413, "too_large", f"The body is larger than {limit} bytes.")
    return bytes(body)


def _parse_body(body: bytes) -> tuple[list[str], bool]:
    try:
        values = json.loads(body)
        texts, truncate = values["texts"], values["truncate"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PoolError(
            400, "invalid_body", 'The body is not {"texts": [...], "truncate": true|false}.'
        ) from None
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise PoolError(400, "invalid_body", '"texts" is not a list of at least one string.')
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise PoolError(
            400, "invalid_body", "A text holds half of a surrogate pair, which is no character."
        ) from None
    if not isinstance(truncate, bool):
        raise PoolError(400, "invalid_body", '"truncate" is neither true nor false.')
    return texts, truncate
