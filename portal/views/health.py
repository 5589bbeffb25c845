"""Whether this process can do its work, for the supervisor and load balancers."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from core.db import app_engine
from core.queues import redis
from portal.access import public

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """200 where the database and Redis answer."""
    with app_engine().connect() as connection:
        connection.execute(text("SELECT 1"))
    redis().ping()
    return {"status": "ok"}
