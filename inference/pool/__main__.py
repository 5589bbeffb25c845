"""`python -m inference.pool`: the pool as a process."""

import os
import sys

# The engines keep the cores busy; tokenizing over every core besides would only take their time away.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import structlog
import uvicorn

from core.catalogue import Architecture, BaseModelUnavailable, UnknownBaseModel, get_base_model
from inference.pool.base import load_base
from inference.pool.chat.service import ChatService
from inference.pool.encoder_weights import UnsupportedModel
from inference.pool.linear import computes
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
    models = {id_: get_base_model(id_) for id_ in settings.base_models}
    encoders = [id_ for id_, model in models.items() if model.architecture is Architecture.ENCODER]
    decoders = [id_ for id_, model in models.items() if model.architecture is Architecture.DECODER]
    if not encoders or len(decoders) > 1:
        raise PoolConfigError("POOL_BASE_MODELS must name at least one encoder, and at most one chat model.")
    if not computes(settings.precision):
        raise PoolConfigError(
            f"POOL_PRECISION: this processor has no products of {settings.precision}; use fp32."
        )
    bases = {base.id: base for base in map(load_base, encoders)}
    chat = ChatService(decoders[0], settings) if decoders else None
    structlog.get_logger().info("pool_started", port=settings.port, base_models=sorted(models))
    uvicorn.run(
        create_app(settings, bases, make_dispatcher, chat),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
