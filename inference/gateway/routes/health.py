"""Whether the API works."""

from flask import Blueprint, Response
from sqlalchemy import text

from core.db import app_engine
from inference.gateway.access import public

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
def healthz() -> Response:
    """200 where the database answers."""
    with app_engine().connect() as connection:
        connection.execute(text("SELECT 1"))
    return Response('{"status":"ok"}', mimetype="application/json")
