"""The bodies of requests: read up to a limit, and checked before anything is done with them."""

import json

from starlette.requests import Request

from inference.pool.errors import PoolError

MAXIMUM_BODY = 16 << 20
"""Bytes: the gateway takes 4 MB, and placeholders for personal data can be longer than what they replace."""

MAXIMUM_TEXTS = 4096
"""The gateway sends 256 at most; millions of empty ones would keep the event loop from everybody else."""


async def read(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes: counted as it comes, for a length that is claimed may be a
    lie."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise PoolError(413, "too_large", f"The body is larger than {limit} bytes.")
    return bytes(body)


async def disconnected(request: Request) -> None:
    """Return when the client has closed the connection; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def parse_texts(body: bytes) -> tuple[list[str], bool]:
    """The texts, at least one, and whether those that are too long may be cut. Raises PoolError."""
    try:
        values = json.loads(body)
        texts, truncate = values["texts"], values["truncate"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PoolError(
            400, "invalid_body", 'The body is not {"texts": [...], "truncate": true|false}.'
        ) from None
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise PoolError(400, "invalid_body", '"texts" is not a list of at least one string.')
    if len(texts) > MAXIMUM_TEXTS:
        raise PoolError(413, "too_large", f"The body holds more than {MAXIMUM_TEXTS} texts.")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise PoolError(
            400, "invalid_body", "A text holds half of a surrogate pair, which is no character."
        ) from None
    if not isinstance(truncate, bool):
        raise PoolError(400, "invalid_body", '"truncate" is neither true nor false.')
    return texts, truncate
