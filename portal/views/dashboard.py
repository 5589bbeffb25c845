"""The tenant's first page: what is live, what runs, what it has cost, and what to do next."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from billing import wording
from billing.periods import Month
from billing.usage import month_usage
from core.clock import now
from core.tenancy import Permission
from portal import overview
from portal.access import signed_in
from portal.fine_tunes import list_jobs
from portal.session import db, scope
from portal.versions import list_models

bp = Blueprint("dashboard", __name__)

_LATEST = 5


@bp.get("/")
@signed_in
def show() -> ResponseReturnValue:
    """The page, or for its own polling the latest fine-tunes alone."""
    if current_user.is_staff:
        return redirect(url_for("operator_tenants.index"), code=303)
    jobs = list_jobs(db(), size=_LATEST)[:_LATEST]
    if "HX-Request" in request.headers:
        return render_template("dashboard/_fine_tunes.html", jobs=jobs)
    month = Month.containing(now())
    may_see_usage = scope().allows(Permission.USAGE_READ)
    days = overview.daily_predictions(db()) if may_see_usage else []
    return render_template(
        "dashboard/show.html",
        month=month,
        counts=overview.count(db()),
        days=days,
        wording=wording,
        predictions_this_month=sum(day.predictions for day in days if day.day >= month.days[0]),
        usage=month_usage(db(), scope().tenant_id, month) if may_see_usage else None,
        jobs=jobs,
        models=[listed for listed in list_models(db()) if listed.current is not None][:_LATEST],
        progress=overview.progress(db()),
    )
