"""The operator's invoices: all tenants', and the months that make them."""

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import TypeVar
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session

from billing import wording
from billing.cancelling import mark_uncollectible
from billing.cancelling import void as void_invoice
from billing.close import CloseRefused, close_month, first_month, next_to_close
from billing.credit_notes import CreditNoteNotFound, Remedy, get_credit_note, issue_credit_note
from billing.invoice_csv import invoices_csv
from billing.invoices import (
    InvoiceStateError,
    find_unbalanced,
    list_all_invoices,
    to_pay_cents,
    totals,
)
from billing.money import money
from billing.payments import record_payment
from billing.periods import Month
from billing.settlement import settlements
from core.clock import now
from core.db import operator_session
from core.models.billing import Invoice
from core.tenancy import StaffPermission
from portal import invoices, month_close
from portal.access import staff
from portal.downloads import csv_file
from portal.forms.invoices import CloseMonthForm, CreditNoteForm, GiveUpForm, PaymentForm, VoidForm
from portal.invoice_search import read_request
from portal.months import month_or_404, switch

bp = Blueprint("operator_invoices", __name__, url_prefix="/operator/invoices")

ChangeForm = TypeVar("ChangeForm", bound=FlaskForm)

_CHANGES = (PaymentForm, CreditNoteForm, GiveUpForm, VoidForm)


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
            totals=totals(db, [invoice for invoice, _ in found]),
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
        settled = settlements(db, [invoice for invoice, _ in found])
    return csv_file(invoices_csv(found, settled), "invoices.csv")


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
        return _page(db, _get_or_404(db, invoice_id))


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


@bp.get("/credit-notes/<uuid:credit_note_id>/credit-note.pdf")
@staff(StaffPermission.INVOICES_READ)
def credit_note_pdf(credit_note_id: UUID) -> ResponseReturnValue:
    with operator_session("export any tenant's credit note") as db:
        try:
            note = get_credit_note(db, credit_note_id)
        except CreditNoteNotFound:
            abort(404)
        return invoices.credit_note_pdf_of(db, note)


@bp.post("/<uuid:invoice_id>/payments")
@staff(StaffPermission.INVOICES_WRITE)
def record(invoice_id: UUID) -> ResponseReturnValue:
    """Record a bank transfer that came."""

    def change(db: Session, form: PaymentForm) -> str:
        paid_at = datetime.combine(form.paid_on.data, time(), UTC)
        cents = form.amount.cents
        invoice = record_payment(db, current_user.actor, invoice_id, cents, form.reference.data, paid_at)
        left = to_pay_cents(db, invoice)
        rest = f"{money(left, invoice.currency)} of invoice {invoice.number} is left to pay."
        return rest if left else f"Invoice {invoice.number} is paid."

    return _change(invoice_id, PaymentForm, change)


@bp.post("/<uuid:invoice_id>/credit-notes")
@staff(StaffPermission.INVOICES_WRITE)
def credit(invoice_id: UUID) -> ResponseReturnValue:
    """Take back part of the invoice."""

    def change(db: Session, form: CreditNoteForm) -> str:
        note = issue_credit_note(
            db,
            current_user.actor,
            invoice_id,
            form.credit_amount.cents,
            form.credit_reason.data,
            Remedy(form.remedy.data),
        )
        return f"Credit note {note.number} is issued."

    return _change(invoice_id, CreditNoteForm, change)


@bp.post("/<uuid:invoice_id>/give-up")
@staff(StaffPermission.INVOICES_WRITE)
def give_up(invoice_id: UUID) -> ResponseReturnValue:
    """Mark the invoice as uncollectible."""

    def change(db: Session, form: GiveUpForm) -> str:
        invoice = mark_uncollectible(db, current_user.actor, invoice_id, form.give_up_reason.data)
        return f"Invoice {invoice.number} is marked as uncollectible."

    return _change(invoice_id, GiveUpForm, change)


@bp.post("/<uuid:invoice_id>/void")
@staff(StaffPermission.INVOICES_WRITE)
def void(invoice_id: UUID) -> ResponseReturnValue:
    def change(db: Session, form: VoidForm) -> str:
        invoice = void_invoice(db, current_user.actor, invoice_id, form.reason.data)
        return f"Invoice {invoice.number} is void."

    return _change(invoice_id, VoidForm, change)


def _change(
    invoice_id: UUID, form_type: type[ChangeForm], change: Callable[[Session, ChangeForm], str]
) -> ResponseReturnValue:
    """Do to an invoice what a form asks for; `change` returns what to tell of it."""
    form = form_type()
    with operator_session("change any tenant's invoice") as db:
        invoice = _get_or_404(db, invoice_id)
        if form.validate_on_submit():
            try:
                done = change(db, form)
            except InvoiceStateError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                flash(done, "success")
                return redirect(url_for("operator_invoices.show", invoice_id=invoice_id), code=303)
        return _page(db, invoice, form), 422


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


def _page(db: Session, invoice: Invoice, sent: FlaskForm | None = None) -> str:
    """The invoice with its forms, of which `sent` is the one that was filled in."""
    shown = invoices.show(db, invoice)
    forms = {kind: sent if isinstance(sent, kind) else kind(formdata=None) for kind in _CHANGES}
    if sent is None:
        forms[PaymentForm].amount.show(shown.settlement.to_pay_cents)
    return render_template(
        "operator/invoices/show.html",
        shown=shown,
        status=invoices.shown_status(invoice),
        payment_form=forms[PaymentForm],
        credit_form=forms[CreditNoteForm],
        give_up_form=forms[GiveUpForm],
        void_form=forms[VoidForm],
        sent=sent,
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
