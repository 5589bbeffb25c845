"""The tenant's invoices."""

from uuid import UUID

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from billing import wording
from billing.bills import tenant_bill
from billing.credits import list_credits, spendable_cents
from billing.invoices import list_invoices, months_being_checked, totals
from billing.periods import Month
from core.clock import now
from core.models.billing import Invoice, InvoiceStatus
from core.models.payments import CreditNote
from core.tenancy import Permission
from portal import invoices
from portal.access import allow
from portal.session import db, get_or_404, scope

bp = Blueprint("invoices", __name__, url_prefix="/invoices")


@bp.get("")
@allow(Permission.INVOICES_READ)
def index() -> ResponseReturnValue:
    month = Month.containing(now())
    found = list_invoices(db())
    bill = tenant_bill(db(), scope().tenant_id, month)
    return render_template(
        "invoices/index.html",
        invoices=found,
        totals=totals(db(), found),
        being_checked=months_being_checked(db()),
        credit_cents=spendable_cents(list_credits(db(), scope().tenant_id), bill.currency),
        month=month,
        bill=bill,
        is_invoiced=any(invoice.period_start == month.start for invoice in found),
        shown_status=invoices.shown_status,
    )


@bp.get("/<uuid:invoice_id>")
@allow(Permission.INVOICES_READ)
def show(invoice_id: UUID) -> ResponseReturnValue:
    shown = invoices.show(db(), _get_issued_or_404(invoice_id))
    return render_template(
        "invoices/show.html", shown=shown, status=invoices.shown_status(shown.invoice), wording=wording
    )


@bp.get("/<uuid:invoice_id>/invoice.pdf")
@allow(Permission.INVOICES_READ)
def pdf(invoice_id: UUID) -> ResponseReturnValue:
    return invoices.pdf_of(db(), _get_issued_or_404(invoice_id))


@bp.get("/<uuid:invoice_id>/lines.csv")
@allow(Permission.INVOICES_READ)
def csv(invoice_id: UUID) -> ResponseReturnValue:
    return invoices.csv_of(db(), _get_issued_or_404(invoice_id))


@bp.get("/credit-notes/<uuid:credit_note_id>/credit-note.pdf")
@allow(Permission.INVOICES_READ)
def credit_note_pdf(credit_note_id: UUID) -> ResponseReturnValue:
    return invoices.credit_note_pdf_of(db(), get_or_404(CreditNote, credit_note_id))


def _get_issued_or_404(invoice_id: UUID) -> Invoice:
    """A draft is not the tenant's to see: its amounts are still being checked."""
    invoice = get_or_404(Invoice, invoice_id)
    if invoice.status is InvoiceStatus.DRAFT:
        abort(404)
    return invoice
