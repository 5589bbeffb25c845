"""The tenant's credits: what was granted, what is left of it, and what drew it."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from billing.credits import list_credits, list_entries, spendable_cents
from billing.plans import current_plan
from core.clock import now
from core.tenancy import Permission
from portal.access import allow
from portal.session import db, scope

bp = Blueprint("credits", __name__, url_prefix="/credits")


@bp.get("")
@allow(Permission.INVOICES_READ)
def index() -> ResponseReturnValue:
    tenant_id = scope().tenant_id
    listed = list_credits(db(), tenant_id)
    currency = current_plan(db(), tenant_id).currency
    return render_template(
        "credits/index.html",
        credits=listed,
        left_cents=spendable_cents(listed, currency),
        currency=currency,
        entries=list_entries(db(), tenant_id),
        now=now(),
    )
