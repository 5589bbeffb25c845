"""What the operator's staff did about money, for finance."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from core.db import operator_session
from core.models.audit import StaffEvent
from core.tenancy import StaffPermission
from portal import audit_log
from portal.access import staff

bp = Blueprint("operator_money_log", __name__, url_prefix="/operator/money-log")

NOUNS = frozenset(
    {
        "invoice",
        "month",
        "credit",
        "price",
        "plan",
        "contract",
        "usage",
        "usage_report",
        "stripe_event",
        "stripe_invoice",
    }
)
"""What an action about money is done to, as billing/ names its actions."""


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    with operator_session("read in the operator's log who did what about money") as db:
        form, wanted, page = audit_log.read_request(db, StaffEvent, NOUNS)
    return render_template("operator/money_log.html", form=form, wanted=wanted, page=page, log=audit_log)
