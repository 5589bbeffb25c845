"""The route that answers conversations, streamed as newline-delimited JSON. Nothing of a text outlives its request."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from inference.pool import bodies
from inference.pool.chat.bodies import parse_chat
from inference.pool.chat.requests import Delta, Event, Failed, Finished
from inference.pool.errors import PoolError
from inference.pool.service import Pool
from inference.tickets import Ticket, Use

log = structlog.get_logger(__name__)

_STATUSES = {
    "adapter_needed": 409,
    "adapter_broken": 422,
    "prompt_too_long": 422,
    "tenant_queue_full": 429,
    "engine_failed": 500,
    "pool_full": 503,
    "deadline": 504,
}


@dataclass(slots=True)
class _Answer:
    """One request under way: its events, and what is to be said of it in the end."""

    ticket: Ticket
    prompt_tokens: int
    events: AsyncGenerator[Event]
    started: float


class ChatRoutes:
    """POST /v1/chat, for the tenant and the adapter that its ticket names; with none, the base itself answers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def chat(self, request: Request) -> Response:
        """Prompt tokens first, then the text as it is written, each piece with the tokens so far (a client that leaves pays
        for those), then why it ended and how long it is."""
        ticket = self._pool.ticket(request, Use.PREDICT)
        started = time.perf_counter()
        try:
            events, prompt_tokens = await self._ask(request, ticket)
            first = await _first(request, events)
        except PoolError as error:
            self._pool.metrics.requests.labels(ticket.tier, error.code).inc()
            raise
        answer = _Answer(ticket, prompt_tokens, events, started)
        return StreamingResponse(self._lines(answer, first), media_type="application/x-ndjson")

    async def _ask(self, request: Request, ticket: Ticket) -> tuple[AsyncGenerator[Event], int]:
        body = parse_chat(await bodies.read(request, bodies.MAXIMUM_BODY))
        chat = self._pool.chat
        if chat is None or ticket.base != chat.prompts.base_id:
            raise PoolError(422, "wrong_base", f"The pool has no chat model {ticket.base!r}.")
        prompts = chat.prompts
        # Off the event loop: a long conversation takes a while.
        prompt = await asyncio.get_running_loop().run_in_executor(
            self._pool.reader, prompts.encode, body.messages
        )
        if len(prompt) >= prompts.max_length:
            raise PoolError(
                422,
                "prompt_too_long",
                f"The conversation has {len(prompt)} tokens; "
                f"the model reads and writes {prompts.max_length} in all.",
                tokens=len(prompt),
                max_length=prompts.max_length,
            )
        return chat.answer(ticket, prompt, body), len(prompt)

    async def _lines(self, answer: _Answer, first: Event) -> AsyncGenerator[bytes]:
        outcome = "cancelled"
        try:
            yield _json_line({"prompt_tokens": answer.prompt_tokens})
            yield self._line(answer, first)
            outcome = _outcome(first)
            async for event in answer.events:
                yield self._line(answer, event)
                outcome = _outcome(event)
        finally:
            # A client that has gone ends the answer here, and the events' end cancels it in the engine.
            await answer.events.aclose()
            self._note(answer, outcome)

    def _line(self, answer: _Answer, event: Event) -> bytes:
        match event:
            case Delta():
                return _json_line({"delta": event.text, "completion_tokens": event.tokens})
            case Failed():
                return _json_line({"error": event.code, "message": event.message})
            case Finished():
                tier, metrics = answer.ticket.tier, self._pool.metrics
                metrics.chat_tokens.labels(tier, "read").inc(answer.prompt_tokens)
                metrics.chat_tokens.labels(tier, "written").inc(event.tokens)
                metrics.request_seconds.labels(tier).observe(time.perf_counter() - answer.started)
                return _json_line(
                    {
                        "finish_reason": event.reason,
                        "prompt_tokens": answer.prompt_tokens,
                        "completion_tokens": event.tokens,
                    }
                )

    def _note(self, answer: _Answer, outcome: str) -> None:
        ticket = answer.ticket
        self._pool.metrics.requests.labels(ticket.tier, outcome).inc()
        log.info(
            "chatted",
            request_id=ticket.request,
            tenant_id=ticket.tenant,
            outcome=outcome,
            prompt_tokens=answer.prompt_tokens,
            ms=round((time.perf_counter() - answer.started) * 1000, 1),
        )


def _json_line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _outcome(event: Event) -> str:
    """What the metrics call an answer that ends after `event`."""
    match event:
        case Finished():
            return "ok"
        case Failed():
            return event.code
        case Delta():
            return "cancelled"


async def _first(request: Request, events: AsyncGenerator[Event]) -> Event:
    """The first event. So long a failure is still an ordinary status: it is raised as PoolError.

    Raises ClientDisconnect, with the request cancelled, if the client goes before.
    """
    first = asyncio.ensure_future(anext(events))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((first, gone), return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            raise ClientDisconnect
        event = first.result()
        if isinstance(event, Failed):
            status = _STATUSES[event.code]
            raise PoolError(status, event.code, event.message, retry_after=event.retry_after)
        return event
    finally:
        gone.cancel()
        first.cancel()
        await asyncio.wait((first, gone))


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
