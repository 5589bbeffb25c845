"""The tenant's invoices, with the usage behind each of their lines."""

from collections.abc import Iterator
from datetime import date
from uuid import UUID

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from billing import wording
from billing.bills import tenant_bill
from billing.credits import list_credits, spendable_cents
from billing.invoices import lines_of, list_invoices, months_being_checked, totals
from billing.line_usage import LineUsage, NoUsageBehind
from billing.periods import Month
from billing.settlement import settlements
from core.clock import now
from core.db import tenant_session
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus
from core.models.payments import CreditNote
from core.tenancy import Permission, TenantScope
from portal import invoices
from portal.access import allow
from portal.downloads import csv_stream
from portal.session import db, get_or_404, scope

bp = Blueprint("invoices", __name__, url_prefix="/invoices")

FACTS_PAGE = 100
_LAST_PAGE = 100_000


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
        settlements=settlements(db(), found),
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


@bp.get("/<uuid:invoice_id>/lines/<int:position>")
@allow(Permission.INVOICES_READ)
def line(invoice_id: UUID, position: int) -> ResponseReturnValue:
    """The days of which a line charges usage."""
    invoice, shown, usage = _get_line_or_404(invoice_id, position)
    days = usage.days()
    return render_template(
        "invoices/line.html",
        invoice=invoice,
        line=shown,
        days=days,
        tokens=sum(day.tokens for day in days),
        wording=wording,
    )


@bp.get("/<uuid:invoice_id>/lines/<int:position>/usage")
@allow(Permission.INVOICES_READ)
def line_day(invoice_id: UUID, position: int) -> ResponseReturnValue:
    """A page of one day's facts: `day` is the day, `page` counts from 1."""
    invoice, shown, usage = _get_line_or_404(invoice_id, position)
    wanted = request.args.get("day", type=date.fromisoformat)
    of_day = next(iter(usage.days(wanted)), None) if wanted else None
    if of_day is None:
        abort(404)
    page = min(max(request.args.get("page", 1, type=int), 1), _LAST_PAGE)
    before = (page - 1) * FACTS_PAGE
    facts = usage.facts_of(of_day.day, offset=before, limit=FACTS_PAGE)

    def address(number: int) -> str:
        return url_for(
            "invoices.line_day", invoice_id=invoice_id, position=position, day=of_day.day, page=number
        )

    return render_template(
        "invoices/facts.html",
        invoice=invoice,
        line=shown,
        of_day=of_day,
        facts=facts,
        newer=address(page - 1) if page > 1 else None,
        older=address(page + 1) if before + FACTS_PAGE < of_day.facts else None,
        summary=f"{before + 1:,}–{before + len(facts):,} of {of_day.facts:,}" if facts else "",
    )


@bp.get("/<uuid:invoice_id>/lines/<int:position>/usage.csv")
@allow(Permission.INVOICES_READ)
def line_csv(invoice_id: UUID, position: int) -> ResponseReturnValue:
    invoice, found, _ = _get_line_or_404(invoice_id, position)
    return csv_stream(_usage_csv(scope(), found.id), f"invoice-{invoice.number}-line-{position}-usage.csv")


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


def _usage_csv(asking: TenantScope, line_id: UUID) -> Iterator[str]:
    with tenant_session(asking) as session:
        yield from LineUsage(session, session.get_one(InvoiceLine, line_id)).csv()


def _get_line_or_404(invoice_id: UUID, position: int) -> tuple[Invoice, InvoiceLine, LineUsage]:
    """404 for a line that is not there, and for one that no usage is behind."""
    invoice = _get_issued_or_404(invoice_id)
    found = next((line for line in lines_of(db(), invoice) if line.position == position), None)
    if found is None:
        abort(404)
    try:
        return invoice, found, LineUsage(db(), found)
    except NoUsageBehind:
        abort(404)
