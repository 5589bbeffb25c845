"""How often things may be tried: counters in Redis, so that every web process sees the same ones."""

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from core.config import get_settings

limiter = Limiter(key_func=get_remote_address, strategy="moving-window", key_prefix="portal")


def init_app(app: Flask) -> None:
    app.config["RATELIMIT_STORAGE_URI"] = get_settings().redis_url
    app.config["RATELIMIT_HEADERS_ENABLED"] = False
    limiter.init_app(app)
