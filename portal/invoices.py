"""Invoices as pages show them, the tenant's and the operator's."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response
from sqlalchemy.orm import Session

from billing.credit_note_pdf import credit_note_pdf
from billing.credit_notes import list_credit_notes, tax_in
from billing.invoice_csv import invoice_csv
from billing.invoice_pdf import invoice_pdf
from billing.invoices import is_overdue, lines_of
from billing.payments import PaymentInstructions, list_payments, payment_provider
from billing.settlement import Settlement, settlement_of
from billing.stripe.mirror import find_invoice_of
from core.models.billing import Collection, Invoice, InvoiceLine, InvoiceStatus
from core.models.payments import CreditNote, Payment
from core.models.stripe import StripeInvoice
from core.models.tenants import Tenant
from portal.downloads import csv_file, pdf_file

OVERDUE, HELD = "overdue", "held"
"""What people look for like a status, and is none."""


@dataclass(frozen=True)
class ShownInvoice:
    """An invoice with what its page has of it; `payment` only while a transfer can pay it, `charge` while a card can."""

    invoice: Invoice
    tenant: Tenant
    lines: Sequence[InvoiceLine]
    settlement: Settlement
    credit_notes: Sequence[CreditNote]
    payments: Sequence[Payment]
    payment: PaymentInstructions | None
    charge: StripeInvoice | None

    @property
    def lines_cents(self) -> int:
        """What the lines add up to, which is the total."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def is_stripes(self) -> bool:
        """Whether Stripe collects it, and has to hear of what becomes of it."""
        return self.invoice.collection is Collection.STRIPE

    @property
    def name(self) -> str:
        """What the page calls it: a draft has no number yet."""
        return (
            f"Invoice {self.invoice.number}"
            if self.invoice.number
            else f"Draft for {self.invoice.period_start:%B %Y}"
        )


def shown_status(invoice: Invoice) -> str:
    """The status that people care about: an open invoice past its due day is overdue."""
    return OVERDUE if is_overdue(invoice) else invoice.status.value


def show(session: Session, invoice: Invoice) -> ShownInvoice:
    """Read what an invoice's page shows."""
    is_owed = invoice.status in (InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE)
    awaits_transfer = is_owed and invoice.collection is Collection.BANK_TRANSFER
    return ShownInvoice(
        invoice,
        session.get_one(Tenant, invoice.tenant_id),
        lines_of(session, invoice),
        settlement_of(session, invoice),
        list_credit_notes(session, invoice),
        list_payments(session, invoice),
        payment_provider().instructions(invoice) if awaits_transfer else None,
        find_invoice_of(session, invoice.id) if is_owed else None,
    )


def pdf_of(session: Session, invoice: Invoice) -> Response:
    """The invoice as a PDF to keep."""
    shown = show(session, invoice)
    pdf = invoice_pdf(invoice, shown.lines, shown.tenant, shown.settlement)
    return pdf_file(pdf, f"{_file_name(invoice)}.pdf")


def credit_note_pdf_of(session: Session, note: CreditNote) -> Response:
    """A credit note as a PDF to keep."""
    invoice = session.get_one(Invoice, note.invoice_id)
    tenant = session.get_one(Tenant, note.tenant_id)
    pdf = credit_note_pdf(note, invoice, tenant, tax_in(session, note, invoice))
    return pdf_file(pdf, f"credit-note-{note.number}.pdf")


def csv_of(session: Session, invoice: Invoice) -> Response:
    """The invoice's lines as a CSV to keep."""
    tenant = session.get_one(Tenant, invoice.tenant_id)
    text = invoice_csv(invoice, lines_of(session, invoice), tenant.name)
    return csv_file(text, f"{_file_name(invoice)}.csv")


def _file_name(invoice: Invoice) -> str:
    return f"invoice-{invoice.number}" if invoice.number else f"draft-{invoice.period_start:%Y-%m}"
