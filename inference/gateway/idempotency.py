"""Idempotency-Key: a repeated request is answered from its record, and billed once."""

from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Generic, TypeVar

from flask import Response, g, request
from sqlalchemy.orm import Session

from inference.gateway import kept_answers
from inference.gateway.auth import caller
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.kept_answers import Claim, Kept, KeyReused, StillRunning
from inference.gateway.request_id import request_id

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
_LONGEST = 255
_RETRY_SECONDS = 1

View = Callable[..., Response]
Of = TypeVar("Of")


def idempotent(view: View) -> View:
    """A view that makes its response by an `Answer`: with an Idempotency-Key, its first success answers them all."""

    @wraps(view)
    def answer(*args: object, **values: object) -> Response:
        key = _key()
        if key is None:
            return view(*args, **values)
        found = _claim(key)
        if isinstance(found, Kept):
            g.request_id = found.request_id
            return Response(found.body, mimetype=found.media_type, headers={REPLAYED_HEADER: "true"})
        g.claim = found
        try:
            return view(*args, **values)
        except BaseException:
            kept_answers.release(found)  # nothing was billed: the same request may come again
            raise

    return answer


def refuse_key(why: str) -> None:
    """Raise ApiError where the request came with an Idempotency-Key and cannot be answered from a record."""
    if _key() is not None:
        raise ApiError(400, ErrorType.INVALID_REQUEST, "idempotency_unsupported", why, param=HEADER)


class Answer(Generic[Of]):
    """A response made of a result, in the transaction that bills it."""

    def __init__(self, make: Callable[[Of], Response]) -> None:
        self._make = make
        self._response: Response | None = None

    @property
    def response(self) -> Response:
        """The response, once `finish` has made it."""
        if self._response is None:
            raise RuntimeError("No response was made.")
        return self._response

    def finish(self, session: Session, result: Of) -> None:
        """Make the response, and keep it for repeated requests where this one has an Idempotency-Key."""
        self._response = self._make(result)
        held: Claim | None = g.get("claim")
        if held is not None:
            kept_answers.keep(session, held, self._response.mimetype or "", self._response.get_data())


def _key() -> str | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        message = f"The Idempotency-Key is not 1 to {_LONGEST} printable ASCII characters."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "invalid_idempotency_key", message, param=HEADER)
    return key


def _claim(key: str) -> Claim | Kept:
    body = sha256()
    for part in (request.method, request.full_path, request.headers.get("Accept", "")):
        body.update(part.encode() + b"\0")
    body.update(request.get_data())
    try:
        return kept_answers.claim(caller().scope, sha256(key.encode()).digest(), body.digest(), request_id())
    except KeyReused:
        message = "This Idempotency-Key came with another request before. Take a new one for each request."
        raise ApiError(
            422, ErrorType.INVALID_REQUEST, "idempotency_key_reused", message, param=HEADER
        ) from None
    except StillRunning:
        message = "A request with this Idempotency-Key is being answered. Ask again for its answer."
        raise ApiError(
            409, ErrorType.INVALID_REQUEST, "idempotency_key_in_use", message, retry_after=_RETRY_SECONDS
        ) from None
