"""What the tenant's month has used and cost."""

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing import wording
from billing.periods import Month
from billing.shares import shares_csv
from billing.usage import MonthUsage, month_usage, months_with_usage
from core.clock import now
from core.tenancy import Permission
from portal.access import allow
from portal.downloads import csv_file
from portal.months import month_or_404, switch
from portal.session import db, scope

bp = Blueprint("usage", __name__, url_prefix="/usage")


@bp.get("")
@allow(Permission.USAGE_READ)
def index() -> ResponseReturnValue:
    usage = _read()
    months = months_with_usage(db(), scope().tenant_id)
    return render_template(
        "usage/index.html",
        usage=usage,
        months=switch(
            usage.month, months[-1], months[0], lambda month: url_for("usage.index", month=str(month))
        ),
        is_running=usage.month == months[0],
        wording=wording,
    )


@bp.get("/table.csv")
@allow(Permission.USAGE_READ)
def download() -> ResponseReturnValue:
    """One of the page's tables: `by` is day, model, key or job."""
    usage = _read()
    by = request.args.get("by", "day")
    tables = {"day": usage.days, "model": usage.models, "key": usage.keys, "job": usage.jobs}
    if by not in tables:
        abort(404)
    return csv_file(shares_csv(by, tables[by]), f"usage-{usage.month}-by-{by}.csv")


def _read() -> MonthUsage:
    """The month that the request asks for; 404 for one that has not begun."""
    running = Month.containing(now())
    month = month_or_404(request.args.get("month"), running)
    if month > running:
        abort(404)
    return month_usage(db(), scope().tenant_id, month)
