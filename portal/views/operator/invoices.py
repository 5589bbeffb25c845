"""The operator's invoices: all tenants', and the months that make them."""

from datetime import UTC, datetime, time
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from billing import wording
from billing.close import CloseRefused, close_month, first_month, next_to_close
from billing.invoices import (
    InvoiceStateError,
    find_unbalanced,
    invoices_csv,
    list_all_invoices,
    mark_paid,
    totals,
)
from billing.invoices import void as void_invoice
from billing.periods import Month
from core.clock import now
from core.db import operator_session
from core.models.billing import Invoice
from core.tenancy import StaffPermission
from portal import invoices, month_close
from portal.access import staff
from portal.downloads import csv_file
from portal.forms.invoices import CloseMonthForm, PaidForm, VoidForm
from portal.invoice_search import read_request
from portal.months import month_or_404, switch

bp = Blueprint("operator_invoices", __name__, url_prefix="/operator/invoices")


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    with operator_session("list the invoices of all tenants") as db:
        search = read_request(db)
        found = list_all_invoices(db, search.wanted)
        return render_template(
            "operator/invoices/index.html",
            search=search,
            page=search.page_of(found),
            found=len(found),
            totals=totals(invoice for invoice, _ in found),
            unbalanced=find_unbalanced(db),
            due_month=_month_that_waits(db),
            shown_status=invoices.shown_status,
        )


@bp.get("/invoices.csv")
@staff(StaffPermission.INVOICES_READ)
def download() -> ResponseReturnValue:
    """The list as it is narrowed down."""
    with operator_session("export the invoices of all tenants") as db:
        found = list_all_invoices(db, read_request(db).wanted)
    return csv_file(invoices_csv(found), "invoices.csv")


@bp.get("/month")
@staff(StaffPermission.INVOICES_READ)
def month() -> ResponseReturnValue:
    """What closing a month would make, or what it made."""
    with operator_session("show what a month's close would invoice to whom") as db:
        running = Month.containing(now())
        wanted = month_or_404(request.args.get("month"), min(next_to_close(db), running))
        if wanted > running:
            abort(404)
        return _month_page(db, wanted, CloseMonthForm())


@bp.post("/month/close")
@staff(StaffPermission.INVOICES_WRITE)
def close() -> ResponseReturnValue:
    return _invoice_month(early=False)


@bp.post("/month/invoice-now")
@staff(StaffPermission.INVOICES_WRITE)
def invoice_now() -> ResponseReturnValue:
    """Invoice the running month as it stands."""
    return _invoice_month(early=True)


@bp.get("/<uuid:invoice_id>")
@staff(StaffPermission.INVOICES_READ)
def show(invoice_id: UUID) -> ResponseReturnValue:
    with operator_session("show any tenant's invoice") as db:
        return _page(db, _get_or_404(db, invoice_id), PaidForm(), VoidForm())


@bp.get("/<uuid:invoice_id>/invoice.pdf")
@staff(StaffPermission.INVOICES_READ)
def pdf(invoice_id: UUID) -> ResponseReturnValue:
    with operator_session("export any tenant's invoice") as db:
        return invoices.pdf_of(db, _get_or_404(db, invoice_id))


@bp.get("/<uuid:invoice_id>/lines.csv")
@staff(StaffPermission.INVOICES_READ)
def csv(invoice_id: UUID) -> ResponseReturnValue:
    with operator_session("export any tenant's invoice") as db:
        return invoices.csv_of(db, _get_or_404(db, invoice_id))


@bp.post("/<uuid:invoice_id>/paid")
@staff(StaffPermission.INVOICES_WRITE)
def paid(invoice_id: UUID) -> ResponseReturnValue:
    form = PaidForm()
    with operator_session("mark any tenant's invoice as paid") as db:
        invoice = _get_or_404(db, invoice_id)
        if form.validate_on_submit():
            paid_at = datetime.combine(form.paid_on.data, time(), UTC)
            try:
                mark_paid(db, current_user.actor, invoice.id, form.reference.data, paid_at)
            except InvoiceStateError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                flash(f"Invoice {invoice.number} is paid.", "success")
                return redirect(url_for("operator_invoices.show", invoice_id=invoice_id), code=303)
        return _page(db, invoice, form, VoidForm(formdata=None)), 422


@bp.post("/<uuid:invoice_id>/void")
@staff(StaffPermission.INVOICES_WRITE)
def void(invoice_id: UUID) -> ResponseReturnValue:
    form = VoidForm()
    with operator_session("void any tenant's invoice") as db:
        invoice = _get_or_404(db, invoice_id)
        if form.validate_on_submit():
            try:
                void_invoice(db, current_user.actor, invoice.id, form.reason.data)
            except InvoiceStateError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                flash(f"Invoice {invoice.number} is void.", "success")
                return redirect(url_for("operator_invoices.show", invoice_id=invoice_id), code=303)
        return _page(db, invoice, PaidForm(formdata=None), form), 422


def _invoice_month(*, early: bool) -> ResponseReturnValue:
    form = CloseMonthForm()
    wanted = month_or_404(request.form.get("month"), Month.containing(now()))
    with operator_session("invoice every tenant") as db:
        if form.validate_on_submit():
            try:
                made = close_month(db, wanted, current_user.actor, early=early)
            except CloseRefused as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                count = f"{len(made)} invoice{'' if len(made) == 1 else 's'}"
                done = "is invoiced as it stands" if early else "is closed"
                flash(f"{wanted.title} {done}: {count} made.", "success")
                return redirect(url_for("operator_invoices.month", month=str(wanted)), code=303)
        return _month_page(db, wanted, form), 422


def _month_page(db: Session, wanted: Month, form: CloseMonthForm) -> str:
    overview = month_close.overview_of(db, wanted)
    months = switch(
        wanted,
        first_month(db),
        overview.running,
        lambda month: url_for("operator_invoices.month", month=str(month)),
    )
    return render_template(
        "operator/invoices/month.html",
        overview=overview,
        months=months,
        form=form,
        wording=wording,
        shown_status=invoices.shown_status,
    )


def _page(db: Session, invoice: Invoice, paid_form: PaidForm, void_form: VoidForm) -> str:
    return render_template(
        "operator/invoices/show.html",
        shown=invoices.show(db, invoice),
        status=invoices.shown_status(invoice),
        paid_form=paid_form,
        void_form=void_form,
        wording=wording,
    )


def _month_that_waits(db: Session) -> Month | None:
    """The month that is over and not closed, if there is one."""
    turn = next_to_close(db)
    return turn if turn < Month.containing(now()) else None


def _get_or_404(db: Session, invoice_id: UUID) -> Invoice:
    invoice = db.get(Invoice, invoice_id)
    if invoice is None:
        abort(404)
    return invoice
