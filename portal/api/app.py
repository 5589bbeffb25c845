"""The whole API: the gateway's routes, and those that make datasets and fine-tunes (docs/adr/0006)."""

from functools import cache
from typing import Any

from flask import Flask

from inference.gateway import app, openapi
from portal.api import fine_tuning

_ROUTES = (fine_tuning.bp,)


def create_api() -> Flask:
    """The API as a WSGI app. Raises what inference.gateway.app.create_api does."""
    return app.create_api(_ROUTES)


@cache
def description() -> dict[str, Any]:
    """The API's OpenAPI document, in a process that does not serve it."""
    bare = Flask("description", static_folder=None)
    app.add_routes(bare, _ROUTES)
    return openapi.document(bare)
