"""Revenue for the operator's finance: what came of invoices, the fees in force, and what all tenants use."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from billing import wording
from billing.close import first_month
from billing.periods import Month
from billing.recurring import fees_csv, monthly_cents, recurring_fees
from billing.revenue import entries_csv, totals_by, totals_csv
from billing.terms import USAGE_KINDS
from billing.volume import volumes, volumes_csv
from core.clock import now
from core.db import operator_session
from core.tenancy import StaffPermission
from portal import revenue
from portal.access import staff
from portal.downloads import csv_file
from portal.years import YearSwitch, read_year

bp = Blueprint("operator_revenue", __name__, url_prefix="/operator/revenue")


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    by, of = _group()
    with operator_session("show the revenue from all tenants") as db:
        years = _years(db, "operator_revenue.index", by)
        shown = revenue.read(db, years, by, of)
    return render_template(
        "operator/revenue/index.html",
        years=years,
        shown=shown,
        kind_title=revenue.kind_title,
    )


@bp.get("/revenue.csv")
@staff(StaffPermission.INVOICES_READ)
def download() -> ResponseReturnValue:
    """The year's totals by month, plan, tenant or kind."""
    by, _ = _group()
    with operator_session("export the revenue from all tenants") as db:
        years = _years(db, "operator_revenue.index")
        totals = totals_by(revenue.read_entries(db, years, by, None), revenue.grouping_or_404(by))
    return csv_file(totals_csv(by, totals), f"revenue-by-{by}-{years.year}.csv")


@bp.get("/entries.csv")
@staff(StaffPermission.INVOICES_READ)
def entries() -> ResponseReturnValue:
    """The documents' entries that the totals, or one of them, are the sum of."""
    by, of = _group()
    with operator_session("export the entries of the revenue from all tenants") as db:
        years = _years(db, "operator_revenue.index")
        found = revenue.read_entries(db, years, by, of)
    return csv_file(entries_csv(found), f"revenue-entries-{years.year}.csv")


@bp.get("/recurring")
@staff(StaffPermission.INVOICES_READ)
def recurring() -> ResponseReturnValue:
    with operator_session("show the fees in force for all tenants") as db:
        fees = recurring_fees(db, now())
    return render_template("operator/revenue/recurring.html", fees=fees, sums=monthly_cents(fees), at=now())


@bp.get("/recurring.csv")
@staff(StaffPermission.INVOICES_READ)
def recurring_download() -> ResponseReturnValue:
    """Each tenant's fee."""
    with operator_session("export the fees in force for all tenants") as db:
        fees = recurring_fees(db, now())
    return csv_file(fees_csv(fees), f"recurring-{now():%Y-%m-%d}.csv")


@bp.get("/usage")
@staff(StaffPermission.INVOICES_READ)
def usage() -> ResponseReturnValue:
    with operator_session("show what all tenants together use") as db:
        years = _years(db, "operator_revenue.usage")
        found = volumes(db, years.months[0], years.months[-1].next)
    return render_template(
        "operator/revenue/usage.html",
        years=years,
        volumes=found,
        tokens={one.month: one.tokens for one in found},
        kinds=[kind for kind in USAGE_KINDS if any(one.tokens[kind] for one in found)],
        wording=wording,
    )


@bp.get("/usage.csv")
@staff(StaffPermission.INVOICES_READ)
def usage_download() -> ResponseReturnValue:
    with operator_session("export what all tenants together use") as db:
        years = _years(db, "operator_revenue.usage")
        found = volumes(db, years.months[0], years.months[-1].next)
    return csv_file(volumes_csv(found), f"usage-{years.year}.csv")


def _group() -> tuple[str, str | None]:
    return request.args.get("by") or "month", request.args.get("of") or None


def _years(db: Session, endpoint: str, by: str | None = None) -> YearSwitch:
    return read_year(
        request.args.get("year"),
        first_month(db),
        Month.containing(now()),
        lambda year: url_for(endpoint, year=year, by=by),
    )
