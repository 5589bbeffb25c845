"""The gateway's side of the pool's HTTP interface."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any
from uuid import UUID

import httpx
import structlog

from core.config import get_settings
from inference.gateway.prediction import ModelBroken, PoolBusy, PoolUnavailable, TextTooLong
from inference.tickets import Ticket, Use, sign

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 25.0
"""How long a request may wait for its answer; the pool drops it after that."""

_CONNECT_SECONDS = 2.0
_MARGIN_SECONDS = 2.0
_STRIPES = 64


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """What to run: a tenant's texts, and the adapter that is to read them."""

    tenant_id: UUID
    request_id: str
    adapter: str
    base: str
    tier: str
    texts: list[str]
    truncate: bool


@dataclass(frozen=True, slots=True)
class PoolAnswer:
    """Of each text: a probability by label, the tokens read, and whether it was cut."""

    scores: list[dict[str, float]]
    tokens: list[int]
    truncated: list[bool]


class PoolClient:
    """Connections to one pool; one client for each process, used by all of its threads."""

    def __init__(self, url: str, key: str) -> None:
        self._key = key
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(ANSWER_SECONDS + _MARGIN_SECONDS, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,  # a proxy for the outside world has no business between gateway and pool
        )
        # Of requests that find the same adapter missing, one sends it and the others wait: a full model is
        # large.
        self._sending = [Lock() for _ in range(_STRIPES)]

    def classify(self, request: PoolRequest, load_adapter: Callable[[], bytes]) -> PoolAnswer:
        """Scores from the pool. `load_adapter` gives the adapter's file, and is called only if the pool
        lacks it.

        Raises PoolBusy, PoolUnavailable, TextTooLong or ModelBroken.
        """
        ticket = {"X-Ticket": self._ticket(request)}
        response = self._ask(request, ticket)
        if response.status_code == 409:
            with self._sending[hash(request.adapter) % _STRIPES]:
                response = self._ask(request, ticket)
                if response.status_code == 409:
                    self._send_adapter(request, ticket, load_adapter())
                    response = self._ask(request, ticket)
        if response.status_code != 200:
            raise _refusal(response)
        answer = response.json()
        return PoolAnswer(
            scores=[result["scores"] for result in answer["results"]],
            tokens=answer["tokens"],
            truncated=answer["truncated"],
        )

    def state(self) -> dict[str, Any]:
        """What the pool has in memory and what waits, by tenant. Raises PoolUnavailable."""
        ticket = Ticket(use=Use.STATE, tenant="", request="", expires=time.time() + _CONNECT_SECONDS)
        response = self._call("GET", "/v1/state", headers={"X-Ticket": sign(ticket, self._key)})
        if response.status_code != 200:
            raise _refusal(response)
        state: dict[str, Any] = response.json()
        return state

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

    def _ask(self, request: PoolRequest, ticket: dict[str, str]) -> httpx.Response:
        body = {"texts": request.texts, "truncate": request.truncate}
        return self._call("POST", "/v1/classify", json=body, headers=ticket)

    def _send_adapter(self, request: PoolRequest, ticket: dict[str, str], file: bytes) -> None:
        response = self._call("PUT", f"/v1/adapters/{request.adapter}", content=file, headers=ticket)
        if response.status_code != 204:
            raise _refusal(response)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            try:
                return self._http.request(method, path, **options)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # A kept connection to a pool that has since restarted. Asking twice is safe: the pool bills
                # nothing.
                return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            log.warning("pool_unreachable", error=type(error).__name__)
            raise PoolUnavailable(
                "The models are not available just now. Try again in a few seconds."
            ) from None


def _refusal(response: httpx.Response) -> Exception:
    """The pool's error answer as the exception that says the same to the tenant."""
    try:
        body = response.json()
        code = body["error"]
    except (ValueError, KeyError, TypeError):
        body, code = {}, ""
    match code:
        case "tenant_queue_full" | "pool_full" | "deadline":
            own = code == "tenant_queue_full"
            message = (
                "Your requests come faster than they can be answered. Slow down, or send fewer texts at once."
                if own
                else "The models are busy. Try again in a few seconds."
            )
            return PoolBusy(message, tenant=own, retry_after=int(response.headers.get("Retry-After", "1")))
        case "text_too_long":
            message = (
                f"Text {body['index']} has {body['tokens']} tokens and the model reads {body['max_length']}. "
                "Shorten it, or set truncate to have its end cut off."
            )
            return TextTooLong(message, body["index"])
        case "adapter_broken" | "invalid_adapter" | "wrong_base":
            log.error("model_broken", code=code, reason=body.get("message"))
            return ModelBroken(
                "This model's weights do not work. Train it again, or promote another version."
            )
        case _:
            log.error("pool_refused", status=response.status_code, code=code)
            return PoolUnavailable("The models are not available just now. Try again in a few seconds.")


@cache
def pool_client() -> PoolClient:
    """This process's client, made at the first call: connections do not survive a fork."""
    settings = get_settings()
    return PoolClient(settings.pool_url, settings.pool_ticket_key)
