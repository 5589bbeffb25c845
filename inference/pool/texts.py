"""Routes that read texts with an encoder: classify, tag, embed. Nothing of a text outlives its request."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from torch import Tensor

from core.catalogue import Task
from inference.pool import bodies
from inference.pool.adapter_blocks import PlacedAdapter
from inference.pool.base import LoadedBase, Tokens
from inference.pool.dispatcher import ClientGone, DeadlinePassed, EngineFailed
from inference.pool.entities import merge
from inference.pool.errors import PoolError
from inference.pool.scheduler import PoolQueueFull, QueueFull, TenantQueueFull
from inference.pool.service import Pool
from inference.pool.wire import QueuedRow
from inference.tickets import Ticket, Use

log = structlog.get_logger(__name__)

_INLINE_CHARACTERS = 8192
_CLASSIFICATION = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL})
_TAGGING = frozenset({Task.TAGGING})


@dataclass(frozen=True, slots=True)
class _Question:
    """Texts to read, for whom, and the request that brought them."""

    request: Request
    ticket: Ticket
    texts: list[str]
    truncate: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the engine made of a request's texts: a result for each, [scores] or [words, tags] or [hidden]."""

    tokens: list[Tokens]
    truncated: list[bool]
    results: list[Tensor]

    def counts(self) -> dict[str, Any]:
        return {"tokens": [len(tokens.ids) for tokens in self.tokens], "truncated": self.truncated}


class TextRoutes:
    """POST /v1/classify, /v1/tag and /v1/embed, each for the tenant that its ticket names."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def classify(self, request: Request) -> Response:
        """Scores by label, of adapters for one label or several."""
        return await self._answer(request, self._classify)

    async def tag(self, request: Request) -> Response:
        """Entities with their characters' offsets."""
        return await self._answer(request, self._tag)

    async def embed(self, request: Request) -> Response:
        """Embeddings from the base model that the ticket names, with no adapter."""
        return await self._answer(request, self._embed)

    async def _classify(self, question: _Question) -> dict[str, Any]:
        adapter = self._adapter(question.ticket, _CLASSIFICATION)
        reading = await self._read(question, adapter, adapter.base)
        results = [
            {"scores": dict(zip(adapter.labels, scores.tolist(), strict=True))} for scores in reading.results
        ]
        return {"results": results, **reading.counts()}

    async def _tag(self, question: _Question) -> dict[str, Any]:
        adapter = self._adapter(question.ticket, _TAGGING)
        reading = await self._read(question, adapter, adapter.base)
        results = [
            {"entities": [asdict(entity) for entity in merge(tokens.words, tags.tolist(), adapter.labels)]}
            for tokens, tags in zip(reading.tokens, reading.results, strict=True)
        ]
        return {"results": results, **reading.counts()}

    async def _embed(self, question: _Question) -> dict[str, Any]:
        ticket = question.ticket
        if ticket.adapter:
            raise PoolError(
                422, "wrong_task", "Embeddings come from a base model, and the ticket names an adapter."
            )
        base = self._pool.bases.get(ticket.base)
        if base is None:
            raise PoolError(422, "wrong_base", f"The pool has no encoder {ticket.base!r}.")
        reading = await self._read(question, base, base)
        return {"embeddings": [embedding.tolist() for embedding in reading.results], **reading.counts()}

    def _adapter(self, ticket: Ticket, tasks: frozenset[Task]) -> PlacedAdapter:
        if not ticket.adapter:
            raise PoolError(422, "wrong_task", "The ticket names no adapter, and this route needs one.")
        adapter = self._pool.adapter(ticket)
        if adapter.task not in tasks or not isinstance(adapter, PlacedAdapter):
            raise PoolError(422, "wrong_task", f"The adapter is for {adapter.task}, and this route is not.")
        return adapter

    async def _read(
        self, question: _Question, weights: PlacedAdapter | LoadedBase, base: LoadedBase
    ) -> _Reading:
        tagging = isinstance(weights, PlacedAdapter) and weights.task is Task.TAGGING
        whole = await self._tokenise(base, question.texts, weights.max_length if tagging else None)
        truncated = [len(tokens.ids) > weights.max_length for tokens in whole]
        if any(truncated) and not question.truncate:
            index = truncated.index(True)
            count = len(whole[index].ids)
            raise PoolError(
                422,
                "text_too_long",
                f"Text {index} has {count} tokens; the model reads {weights.max_length}.",
                index=index,
                tokens=count,
                max_length=weights.max_length,
            )
        tokens = [each.cut(weights.max_length) for each in whole]
        rows = [
            QueuedRow(each.ids, weights, [word.position for word in each.words] if tagging else None)
            for each in tokens
        ]
        return _Reading(tokens, truncated, await self._run(question, rows))

    async def _run(self, question: _Question, rows: list[QueuedRow]) -> list[Tensor]:
        dispatcher, ticket = self._pool.dispatcher, question.ticket
        try:
            results = await dispatcher.run_rows(
                ticket.tenant,
                rows,
                deadline=ticket.expires,
                weight=ticket.weight,
                gone=partial(bodies.disconnected, question.request),
            )
        except QueueFull as full:
            raise self._refusal(full) from None
        except DeadlinePassed as late:
            wait = dispatcher.retry_after(dispatcher.queued_tokens)
            raise PoolError(504, "deadline", str(late), retry_after=wait) from None
        except EngineFailed as failure:
            raise PoolError(500, "engine_failed", str(failure)) from None
        except ClientGone as gone:
            raise PoolError(400, "client_gone", str(gone)) from None
        good = [result for result in results if result is not None]
        if len(good) < len(results):
            raise PoolError(422, "adapter_broken", "The adapter computes numbers that are not finite.")
        return good

    def _refusal(self, full: QueueFull) -> PoolError:
        status, code = {TenantQueueFull: (429, "tenant_queue_full"), PoolQueueFull: (503, "pool_full")}[
            type(full)
        ]
        wait = self._pool.dispatcher.retry_after(full.queued_tokens)
        return PoolError(status, code, str(full), retry_after=wait)

    def _check_open(self, ticket: Ticket) -> None:
        """Refuse a flood at the door: its bodies and tokens would take the time of everybody else."""
        try:
            self._pool.dispatcher.check_open(ticket.tenant)
        except QueueFull as full:
            raise self._refusal(full) from None

    async def _tokenise(self, base: LoadedBase, texts: list[str], words: int | None) -> list[Tokens]:
        """Tokens of the texts, and where `words` is given, the words among the first so many tokens."""

        def tokenise() -> list[Tokens]:
            if words is None:
                return [Tokens(ids, ()) for ids in base.tokenise(texts)]
            return base.tokenise_words(texts, words)

        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return tokenise()
        return await asyncio.get_running_loop().run_in_executor(self._pool.reader, tokenise)

    async def _answer(
        self, request: Request, work: Callable[[_Question], Coroutine[Any, Any, dict[str, Any]]]
    ) -> Response:
        metrics = self._pool.metrics
        ticket = self._pool.ticket(request, Use.PREDICT)
        started = time.perf_counter()
        try:
            self._check_open(ticket)
            texts, truncate = bodies.parse_texts(await bodies.read(request, bodies.MAXIMUM_BODY))
            answer = await work(_Question(request, ticket, texts, truncate))
        except PoolError as error:
            metrics.requests.labels(ticket.tier, error.code).inc()
            raise
        seconds = time.perf_counter() - started
        tokens = sum(answer["tokens"])
        metrics.requests.labels(ticket.tier, "ok").inc()
        metrics.rows.labels(ticket.tier).inc(len(texts))
        metrics.tokens.labels(ticket.tier).inc(tokens)
        metrics.request_seconds.labels(ticket.tier).observe(seconds)
        log.info(
            "answered",
            request_id=ticket.request,
            tenant_id=ticket.tenant,
            route=request.url.path,
            rows=len(texts),
            tokens=tokens,
            ms=round(seconds * 1000, 1),
        )
        return JSONResponse(answer)
