"""How many requests a key may make: counted in Redis, so that every gateway process counts together."""

from flask import Flask, g
from flask_limiter import Limiter

from core.config import get_settings
from inference.gateway.auth import caller


def init_app(app: Flask) -> None:
    """Limit every route that takes a key. Call it after auth.init_app: whose requests they are must be
    known."""
    settings = get_settings()
    limiter = Limiter(
        key_func=lambda: str(caller().id),
        application_limits=[f"{settings.requests_per_minute} per minute"],  # over all routes together
        application_limits_exempt_when=lambda: "caller" not in g,
        strategy="sliding-window-counter",
        storage_uri=settings.redis_url,
        headers_enabled=True,
        key_prefix="api",
        # Without Redis each process counts for itself: better a loose limit than no answers.
        in_memory_fallback_enabled=True,
    )
    limiter.init_app(app)
