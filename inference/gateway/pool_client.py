"""The gateway's side of the pool's HTTP interface."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any
from uuid import UUID

from core.config import get_settings
from inference.gateway.pool_connections import UNREACHABLE, Connections, PoolResponse
from inference.gateway.pool_refusals import refusal, unreachable
from inference.gateway.pool_stream import PoolStream
from inference.tickets import Ticket, Use, sign

ANSWER_SECONDS = 25.0
"""How long a request may wait for its answer; the pool drops it after that."""

_CONNECT_SECONDS = 2.0
_MARGIN_SECONDS = 2.0
_STRIPES = 64


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """Who asks the pool, and which adapter is to answer; an empty one is the base itself.

    `load_adapter` gives the adapter's file, and is called only if the pool lacks it. The pool is asked for nothing more
    once `client`, the connection of whoever waits for the answer, is hung up.
    """

    tenant_id: UUID
    request_id: str
    adapter: str
    base: str
    tier: str
    load_adapter: Callable[[], bytes]
    client: socket.socket | None = None


@dataclass(frozen=True, slots=True)
class PoolAnswer:
    """Of each text: what the pool computed, the tokens read, and whether it was cut."""

    results: list[Any]
    tokens: list[int]
    truncated: list[bool]


class PoolClient:
    """Connections to one pool; one client for each process, used by all of its threads.

    Every call raises PoolBusy, PoolUnavailable, TextTooLong, PromptTooLong, WrongTask, ModelBroken or
    ClientLeft.
    """

    def __init__(self, url: str, key: str) -> None:
        self._key = key
        self._connections = Connections(
            url, connect_seconds=_CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS + _MARGIN_SECONDS
        )
        # Of requests that find the same adapter missing, one sends it and the others wait: a full model is
        # large.
        self._sending = [Lock() for _ in range(_STRIPES)]

    def classify(self, request: PoolRequest, texts: list[str], *, truncate: bool) -> PoolAnswer:
        """Each text's scores, a dict by label."""
        answer = self._read_texts(request, "/v1/classify", texts, truncate)
        return _answer([result["scores"] for result in answer["results"]], answer)

    def tag(self, request: PoolRequest, texts: list[str], *, truncate: bool) -> PoolAnswer:
        """Each text's entities: dicts with `start`, `end`, `label` and `score`."""
        answer = self._read_texts(request, "/v1/tag", texts, truncate)
        return _answer([result["entities"] for result in answer["results"]], answer)

    def embed(self, request: PoolRequest, texts: list[str], *, truncate: bool) -> PoolAnswer:
        """Each text's vector, a list of floats of length 1."""
        answer = self._read_texts(request, "/v1/embed", texts, truncate)
        return _answer(answer["embeddings"], answer)

    def chat(self, request: PoolRequest, body: dict[str, Any]) -> PoolStream:
        """Start an answer; whoever gets it closes it."""
        return PoolStream(self._ask(request, "/v1/chat", body))

    def state(self) -> dict[str, Any]:
        """What the pool has in memory and what waits, by tenant."""
        ticket = Ticket(use=Use.STATE, tenant="", request="", expires=time.time() + _CONNECT_SECONDS)
        response = self._send("GET", "/v1/state", {"X-Ticket": sign(ticket, self._key)})
        state: dict[str, Any] = _json(response)
        return state

    def _read_texts(self, request: PoolRequest, path: str, texts: list[str], truncate: bool) -> Any:
        return _json(self._ask(request, path, {"texts": texts, "truncate": truncate}))

    def _ask(self, request: PoolRequest, path: str, body: dict[str, Any]) -> PoolResponse:
        """The pool's answer, its body not read yet; the pool is given the adapter where it lacks it."""
        ticket = {"X-Ticket": self._ticket(request)}
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

        def ask() -> PoolResponse:
            return self._send("POST", path, ticket, content, request.client)

        response = ask()
        if response.status == 409:
            response.close()
            with self._sending[hash(request.adapter) % _STRIPES]:
                response = ask()
                if response.status == 409:
                    response.close()
                    self._send_adapter(request, ticket)
                    response = ask()
        return response

    def _ticket(self, request: PoolRequest) -> str:
        ticket = Ticket(
            use=Use.PREDICT,
            tenant=str(request.tenant_id),
            request=request.request_id,
            expires=time.time() + ANSWER_SECONDS,
            adapter=request.adapter,
            base=request.base,
            tier=request.tier,
        )
        return sign(ticket, self._key)

    def _send_adapter(self, request: PoolRequest, ticket: dict[str, str]) -> None:
        path = f"/v1/adapters/{request.adapter}"
        response = self._send("PUT", path, ticket, request.load_adapter())
        try:
            if response.status != 204:
                raise refusal(response)
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None = None,
        client: socket.socket | None = None,
    ) -> PoolResponse:
        try:
            return self._connections.send(method, path, headers, body, client)
        except UNREACHABLE as error:
            raise unreachable(error) from None


def _answer(results: list[Any], answer: dict[str, Any]) -> PoolAnswer:
    return PoolAnswer(results, answer["tokens"], answer["truncated"])


def _json(response: PoolResponse) -> Any:
    try:
        if response.status != 200:
            raise refusal(response)
        return response.json()
    except UNREACHABLE as error:
        raise unreachable(error) from None
    finally:
        response.close()


@cache
def pool_client() -> PoolClient:
    """This process's client, made at the first call: connections do not survive a fork."""
    settings = get_settings()
    return PoolClient(settings.pool_url, settings.pool_ticket_key)
