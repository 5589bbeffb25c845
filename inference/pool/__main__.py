"""`python -m inference.pool`: the pool as a process."""

import os
import sys

# The engines keep the cores busy; tokenizing over every core besides would only take their time away.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import structlog
import uvicorn

from core.catalogue import BaseModelUnavailable, UnknownBaseModel
from inference.pool.base import load_base
from inference.pool.encoder_weights import UnsupportedModel
from inference.pool.log import configure_logging
from inference.pool.server import create_app
from inference.pool.service import MakeDispatcher, on_this_machine
from inference.pool.settings import PoolConfigError, PoolSettings

GRACE_SECONDS = 10


def main() -> None:
    """Load the base models, then serve until SIGTERM or SIGINT; requests in flight get GRACE_SECONDS to
    end."""
    try:
        serve(PoolSettings.from_environment())
    except (PoolConfigError, UnknownBaseModel, BaseModelUnavailable, UnsupportedModel) as error:
        sys.exit(str(error))


def serve(settings: PoolSettings, make_dispatcher: MakeDispatcher = on_this_machine) -> None:
    """Serve with engines from `make_dispatcher`. Raises what loading the base models does."""
    configure_logging(settings.log_level, process="pool")
    bases = {base.id: base for base in map(load_base, settings.base_models)}
    structlog.get_logger().info("pool_started", port=settings.port, base_models=sorted(bases))
    uvicorn.run(
        create_app(settings, bases, make_dispatcher),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
