"""The journal of a month: its accounts' sums, the postings behind each, and the export for accounting."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.books import by_account, in_all
from billing.close import first_month
from billing.journal import journal, journal_csv
from billing.periods import Month
from core.clock import now
from core.db import operator_session
from core.tenancy import StaffPermission
from portal import tenants
from portal.access import staff
from portal.downloads import csv_file
from portal.months import month_or_404, switch

bp = Blueprint("operator_journal", __name__, url_prefix="/operator/journal")

LISTED = 200
"""Postings on the page: the CSV has all."""


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    running = Month.containing(now())
    month = month_or_404(request.args.get("month"), running)
    account = request.args.get("account")
    with operator_session("show the journal of all tenants") as db:
        postings = journal(db, month.start, month.end)
        months = switch(
            month, first_month(db), running, lambda to: url_for("operator_journal.index", month=str(to))
        )
        listed = [one for one in postings if account in (None, "", one.account)]
        names = tenants.find_names(db, {one.tenant_id for one in listed[:LISTED]})
    return render_template(
        "operator/journal/index.html",
        months=months,
        accounts=by_account(postings),
        sums=in_all(postings),
        account=account,
        postings=listed[:LISTED],
        found=len(listed),
        names=names,
    )


@bp.get("/journal.csv")
@staff(StaffPermission.INVOICES_READ)
def download() -> ResponseReturnValue:
    """A month's postings, one a row."""
    month = month_or_404(request.args.get("month"), Month.containing(now()))
    with operator_session("export the journal of all tenants") as db:
        text = journal_csv(db, journal(db, month.start, month.end))
    return csv_file(text, f"journal-{month}.csv")
