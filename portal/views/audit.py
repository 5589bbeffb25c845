"""The tenant's audit log."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from core.models.audit import AuditEvent
from core.tenancy import Permission
from portal import audit_log
from portal.access import allow
from portal.session import db

bp = Blueprint("audit", __name__, url_prefix="/audit")


@bp.get("")
@allow(Permission.AUDIT_READ)
def index() -> ResponseReturnValue:
    form, wanted, page = audit_log.read_request(db(), AuditEvent)
    return render_template("audit/index.html", form=form, wanted=wanted, page=page, log=audit_log)
