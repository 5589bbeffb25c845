"""What the operator's staff did."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from core.db import operator_session
from core.models.audit import StaffEvent
from core.tenancy import StaffPermission
from portal import audit_log
from portal.access import staff

bp = Blueprint("operator_audit", __name__, url_prefix="/operator/audit")


@bp.get("")
@staff(StaffPermission.AUDIT_READ)
def index() -> ResponseReturnValue:
    with operator_session("read the operator's own log, which no tenant may") as db:
        form, wanted, page = audit_log.read_request(db, StaffEvent)
    return render_template("operator/audit.html", form=form, wanted=wanted, page=page, log=audit_log)
