"""Whether the API works, and how much it has to do."""

import hmac
from collections.abc import Callable
from typing import Literal

import httpx
import structlog
from flask import Blueprint, Response, abort, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.config import get_settings
from core.db import app_engine
from core.queues import redis
from inference.gateway.access import public
from inference.gateway.bodies import json_response
from inference.gateway.describe import describes
from inference.gateway.metrics import ApiMetrics

log = structlog.get_logger(__name__)

bp = Blueprint("health", __name__)

_POOL_SECONDS = 2.0

Word = Literal["ok", "away"]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """`ready` where all that a prediction needs works."""

    ready: bool
    database: Word
    redis: Word
    pool: Word


@bp.get("/healthz")
@public
@describes(Health, errors=(503,))
def healthz() -> Response:
    """Whether this process and its database work."""
    _ask_database()
    return json_response(Health())


@bp.get("/readyz")
@public
@describes(Readiness, also={503: Readiness})
def readyz() -> Response:
    """Whether database, Redis and pool answer, each by itself."""
    words = {name: _word(name, ask) for name, ask in _NEEDED.items()}
    ready = all(word == "ok" for word in words.values())
    response = json_response(Readiness(ready=ready, **words))
    response.status_code = 200 if ready else 503
    return response


@bp.get("/metrics")
@public
@describes(media=("text/plain",), errors=(404,))
def metrics() -> Response:
    """Counts for Prometheus, to whoever has the operator's METRICS_TOKEN; to others there is no such path."""
    if not _may_see_metrics():
        abort(404)
    counted: ApiMetrics = current_app.extensions["metrics"]
    return Response(generate_latest(counted.registry), content_type=CONTENT_TYPE_LATEST)


def _may_see_metrics() -> bool:
    settings = get_settings()
    if not settings.metrics_token:
        return not settings.is_production
    given = request.headers.get("Authorization", "").encode()
    return hmac.compare_digest(given, f"Bearer {settings.metrics_token}".encode())


def _ask_database() -> None:
    with app_engine().connect() as connection:
        connection.execute(text("SELECT 1"))


def _ask_pool() -> None:
    url = f"{get_settings().pool_url}/readyz"
    httpx.get(url, timeout=_POOL_SECONDS, trust_env=False).raise_for_status()


_NEEDED: dict[str, Callable[[], object]] = {
    "database": _ask_database,
    "redis": lambda: redis().ping(),
    "pool": _ask_pool,
}


def _word(name: str, ask: Callable[[], object]) -> Word:
    try:
        ask()
    except (OperationalError, RedisError, httpx.HTTPError) as error:
        log.warning("not_ready", what=name, error=type(error).__name__)
        return "away"
    return "ok"
