"""Request ids: ours, one for each request, from the first header to the ledger."""

from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
CLIENT_HEADER = "X-Client-Request-Id"
_LONGEST = 128


def new_request_id() -> str:
    return f"req_{uuid4().hex}"


def request_id() -> str:
    """The id of the request being answered. Never the client's: two requests with one id would be billed
    once."""
    if "request_id" not in g:
        g.request_id = new_request_id()
    own: str = g.request_id
    return own


def client_request_id() -> str | None:
    """The id that the client gave its request in X-Request-Id, for its own logs, if it is fit to repeat."""
    given = request.headers.get(HEADER, "")
    return given if 0 < len(given) <= _LONGEST and given.isascii() and given.isprintable() else None


def init_app(app: Flask) -> None:
    """Say our id in X-Request-Id of every answer, and the client's in X-Client-Request-Id and in the log."""

    @app.before_request
    def note() -> None:
        if (given := client_request_id()) is not None:
            structlog.contextvars.bind_contextvars(client_request_id=given)

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        structlog.contextvars.unbind_contextvars("client_request_id")

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[HEADER] = request_id()
        if (given := client_request_id()) is not None:
            response.headers[CLIENT_HEADER] = given
        return response
