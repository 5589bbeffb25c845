"""Whether the API works."""

from typing import Literal

from flask import Blueprint, Response
from pydantic import BaseModel
from sqlalchemy import text

from core.db import app_engine
from inference.gateway.access import public
from inference.gateway.bodies import json_response
from inference.gateway.describe import describes

bp = Blueprint("health", __name__)


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@bp.get("/healthz")
@public
@describes(Health, errors=(503,))
def healthz() -> Response:
    """Whether this process and its database work."""
    with app_engine().connect() as connection:
        connection.execute(text("SELECT 1"))
    return json_response(Health())
