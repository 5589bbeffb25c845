"""All tenants' credit notes, month by month."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing.close import first_month
from billing.credit_note_list import list_notes, notes_csv
from billing.periods import Month
from core.clock import now
from core.db import operator_session
from core.tenancy import StaffPermission
from portal.access import staff
from portal.downloads import csv_file
from portal.months import month_or_404, switch

bp = Blueprint("operator_credit_notes", __name__, url_prefix="/operator/credit-notes")


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    running = Month.containing(now())
    month = month_or_404(request.args.get("month"), running)
    with operator_session("list the credit notes of all tenants") as db:
        notes = list_notes(db, month)
        months = switch(
            month, first_month(db), running, lambda to: url_for("operator_credit_notes.index", month=str(to))
        )
    return render_template("operator/credit_notes/index.html", notes=notes, months=months)


@bp.get("/credit-notes.csv")
@staff(StaffPermission.INVOICES_READ)
def download() -> ResponseReturnValue:
    month = month_or_404(request.args.get("month"), Month.containing(now()))
    with operator_session("export the credit notes of all tenants") as db:
        notes = list_notes(db, month)
    return csv_file(notes_csv(notes), f"credit-notes-{month}.csv")
