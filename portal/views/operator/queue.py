"""What waits and runs, across tenants."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from core.db import operator_session
from core.tenancy import StaffPermission
from portal.access import staff
from portal.queue_state import read_queue

bp = Blueprint("operator_queue", __name__, url_prefix="/operator/queue")


@bp.get("")
@staff(StaffPermission.QUEUE_READ)
def index() -> ResponseReturnValue:
    """The page, or for its own polling the part of it that changes."""
    with operator_session("show the operator what runs and waits across tenants") as db:
        state = read_queue(db)
    is_part = "HX-Request" in request.headers
    return render_template(
        "operator/queue/_state.html" if is_part else "operator/queue/index.html", state=state
    )
