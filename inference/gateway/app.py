"""The API's Flask app."""

import time
from collections.abc import Sequence

import structlog
from flask import Blueprint, Flask, Response, abort, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from core.config import get_settings
from core.http_headers import HSTS, ON_EVERY_ANSWER
from core.log import configure_logging
from inference.gateway import auth, errors, limits, request_id
from inference.gateway.access import require_stated_access
from inference.gateway.metrics import ApiMetrics
from inference.gateway.routes import (
    anonymize,
    batches,
    chat,
    classify,
    embeddings,
    files,
    health,
    huggingface,
    models,
    openapi,
    tag,
)

log = structlog.get_logger(__name__)

MAXIMUM_BODY = 4 << 20

_HEADERS = {
    **ON_EVERY_ANSWER,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def create_api(more: Sequence[Blueprint] = ()) -> Flask:
    """The API as a WSGI app, with `more` routes from above: those that need training (portal/api/).

    Raises ConfigError where the environment is incomplete, RuntimeError where a view does not say who may
    use it.
    """
    settings = get_settings()
    configure_logging("api")
    app = Flask("api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAXIMUM_BODY
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies)  # type: ignore[method-assign]
    app.before_request(_start_clock)
    app.before_request(_refuse_compressed)
    metrics = app.extensions["metrics"] = ApiMetrics()
    for part in (request_id, errors, auth, limits, metrics):
        part.init_app(app)
    add_routes(app, more)
    app.after_request(_finish)
    require_stated_access(app)
    return app


def add_routes(app: Flask, more: Sequence[Blueprint] = ()) -> None:
    """Give `app` the API's routes, and `more`."""
    for routes in (
        classify,
        tag,
        embeddings,
        chat,
        anonymize,
        huggingface,
        models,
        files,
        batches,
        openapi,
        health,
    ):
        app.register_blueprint(routes.bp)
    for blueprint in more:
        app.register_blueprint(blueprint)


def _start_clock() -> None:
    g.started = time.perf_counter()


def _refuse_compressed() -> None:
    """Answer 415 to a compressed body: a few bytes of one can hold more than any limit counts."""
    if request.content_encoding not in (None, "identity"):
        abort(415)


def _finish(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if get_settings().api_url.startswith("https://"):
        response.headers["Strict-Transport-Security"] = HSTS
    if response.status_code >= 400:
        # What succeeds is logged where it happens, with its tokens.
        key = g.get("caller")
        log.info(
            "refused",
            request_id=request_id.request_id(),
            tenant_id=str(key.scope.tenant_id) if key else None,
            endpoint=request.endpoint,
            status=response.status_code,
            ms=round((time.perf_counter() - g.started) * 1000, 1),
        )
    return response
