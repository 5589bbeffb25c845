"""The whole API: the gateway's routes, and those that make datasets and fine-tunes (docs/adr/0006)."""

from flask import Flask

from inference.gateway import app
from portal.api import fine_tuning


def create_api() -> Flask:
    """The API as a WSGI app. Raises what inference.gateway.app.create_api does."""
    return app.create_api([fine_tuning.bp])
