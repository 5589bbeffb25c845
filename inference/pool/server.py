"""The pool over HTTP: tickets in, results out. Nothing of a text outlives its request, and none is
logged."""

import contextlib
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from inference.pool.base import LoadedBase
from inference.pool.chat.routes import ChatRoutes
from inference.pool.chat.service import ChatService
from inference.pool.errors import PoolError
from inference.pool.operations import OperationRoutes
from inference.pool.service import MakeDispatcher, Pool, on_this_machine
from inference.pool.settings import PoolSettings
from inference.pool.texts import TextRoutes
from inference.pool.uploads import UploadRoutes


def create_app(
    settings: PoolSettings,
    bases: Mapping[str, LoadedBase],
    make_dispatcher: MakeDispatcher = on_this_machine,
    chat: ChatService | None = None,
) -> Starlette:
    """The pool's ASGI app. Its routes ask for a ticket themselves, but for health and metrics."""
    pool = Pool(settings, bases, make_dispatcher, chat)
    texts, uploads, operations = TextRoutes(pool), UploadRoutes(pool), OperationRoutes(pool)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with pool.running():
            yield

    return Starlette(
        routes=[
            Route("/v1/classify", texts.classify, methods=["POST"]),
            Route("/v1/tag", texts.tag, methods=["POST"]),
            Route("/v1/embed", texts.embed, methods=["POST"]),
            Route("/v1/chat", ChatRoutes(pool).chat, methods=["POST"]),
            Route("/v1/adapters/{digest}", uploads.add_adapter, methods=["PUT"]),
            Route("/v1/state", operations.state),
            Route("/healthz", operations.health),
            Route("/readyz", operations.ready),
            Route("/metrics", operations.metrics),
        ],
        exception_handlers={PoolError: _answer_error, ClientDisconnect: _answer_nobody},
        lifespan=lifespan,
    )


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, PoolError)
    return error.response()


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)
