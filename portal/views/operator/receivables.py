"""What tenants owe: by how long it is overdue, and whose payment is missing."""

from uuid import UUID

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from billing.ageing import Age, Receivable, by_tenant, in_total, list_receivables, receivables_csv
from billing.missing_payments import list_failed_charges, list_missing
from core.clock import now
from core.db import operator_session
from core.tenancy import StaffPermission
from portal.access import staff
from portal.downloads import csv_file

bp = Blueprint("operator_receivables", __name__, url_prefix="/operator/receivables")

AGE_TITLES = {
    Age.CURRENT: "Not due",
    Age.DAYS_1_30: "1–30 days",
    Age.DAYS_31_60: "31–60 days",
    Age.DAYS_61_90: "61–90 days",
    Age.OVER_90: "Over 90 days",
}


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    age, tenant_id = _age(), _tenant_id()
    with operator_session("show what all tenants owe") as db:
        receivables = list_receivables(db, now())
    return render_template(
        "operator/receivables/index.html",
        totals=in_total(receivables),
        rows=by_tenant(receivables),
        receivables=_narrowed(receivables, age, tenant_id),
        age=age,
        tenant_id=tenant_id,
        age_titles=AGE_TITLES,
    )


@bp.get("/receivables.csv")
@staff(StaffPermission.INVOICES_READ)
def download() -> ResponseReturnValue:
    """The open invoices as they are narrowed down."""
    age, tenant_id = _age(), _tenant_id()
    with operator_session("export what all tenants owe") as db:
        receivables = _narrowed(list_receivables(db, now()), age, tenant_id)
    return csv_file(receivables_csv(receivables), f"receivables-{now():%Y-%m-%d}.csv")


@bp.get("/missing")
@staff(StaffPermission.INVOICES_READ)
def missing() -> ResponseReturnValue:
    """The tenants whose payment is missing, and the charges that failed."""
    with operator_session("show whose payments are missing") as db:
        return render_template(
            "operator/receivables/missing.html",
            missing=list_missing(db),
            charges=list_failed_charges(db),
            now=now(),
        )


def _narrowed(receivables: list[Receivable], age: Age | None, tenant_id: UUID | None) -> list[Receivable]:
    return [one for one in receivables if age in (None, one.age) and tenant_id in (None, one.tenant.id)]


def _age() -> Age | None:
    try:
        return Age(request.args["age"]) if request.args.get("age") else None
    except ValueError:
        abort(404)


def _tenant_id() -> UUID | None:
    try:
        return UUID(request.args["tenant"]) if request.args.get("tenant") else None
    except ValueError:
        abort(404)
