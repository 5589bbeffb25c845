"""The tenants that have nearly spent a budget, or passed it."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from billing.caps import NEAR_PERCENT, list_near
from billing.periods import Month
from core.clock import now
from core.db import operator_session
from core.tenancy import StaffPermission
from portal.access import staff

bp = Blueprint("operator_caps", __name__, url_prefix="/operator/caps")


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    with operator_session("show which tenants are near their budgets") as db:
        near = list_near(db, now())
        db.commit()
        return render_template(
            "operator/caps/index.html", near=near, percent=NEAR_PERCENT, month=Month.containing(now())
        )
