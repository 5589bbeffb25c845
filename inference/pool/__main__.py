"""`python -m inference.pool`: the pool as a process."""

import logging
import os
import sys

# One engine thread is kept busy; tokenizing over every core besides would only take its time away.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import structlog
import uvicorn

from core.catalogue import BaseModelUnavailable, UnknownBaseModel
from inference.pool.base import load_base
from inference.pool.encoder import UnsupportedModel
from inference.pool.server import create_app
from inference.pool.settings import PoolConfigError, PoolSettings

GRACE_SECONDS = 10
_SWITCH_SECONDS = 0.001


def main() -> None:
    """Load the base models, then serve until SIGTERM or SIGINT; requests in flight get GRACE_SECONDS to
    end."""
    try:
        settings = PoolSettings.from_environment()
        _configure_logging(settings.log_level)
        bases = {base.id: base for base in map(load_base, settings.base_models)}
    except (PoolConfigError, UnknownBaseModel, BaseModelUnavailable, UnsupportedModel) as error:
        sys.exit(str(error))
    # The engine's thread asks for the GIL between products: at the default of 5 ms it would wait behind the
    # loop.
    sys.setswitchinterval(_SWITCH_SECONDS)
    structlog.get_logger().info("pool_started", port=settings.port, base_models=sorted(bases))
    uvicorn.run(
        create_app(settings, bases),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _configure_logging(level: str) -> None:
    # Not core.log: that one reads the app's settings, secrets and all, which this process must not hold.
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level, logging.INFO)
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process="pool")


if __name__ == "__main__":
    main()
