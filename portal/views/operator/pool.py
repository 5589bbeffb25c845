"""The shared pool's memory and queue."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from core.db import operator_session
from core.tenancy import StaffPermission
from inference.gateway.pool_client import pool_client
from inference.gateway.prediction import PredictionError
from portal.access import staff
from portal.pool_state import PoolState, describe

bp = Blueprint("operator_pool", __name__, url_prefix="/operator/pool")


@bp.get("")
@staff(StaffPermission.POOL_READ)
def index() -> ResponseReturnValue:
    """The page, or for its own polling the part of it that changes."""
    is_part = "HX-Request" in request.headers
    return render_template(
        "operator/pool/_state.html" if is_part else "operator/pool/index.html", state=_find_state()
    )


def _find_state() -> PoolState | None:
    """The pool's state; None while it cannot be reached, which is worth showing rather than an error."""
    try:
        answer = pool_client().state()
    except PredictionError:
        return None
    with operator_session("name the tenants whose adapters the pool holds") as db:
        return describe(db, answer)
