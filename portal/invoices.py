"""Invoices as pages show them, the tenant's and the operator's."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response
from sqlalchemy.orm import Session

from billing.invoice_pdf import invoice_pdf
from billing.invoices import invoice_csv, is_overdue, lines_of
from billing.payments import PaymentInstructions, payment_provider
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus
from core.models.tenants import Tenant
from portal.downloads import csv_file, pdf_file

OVERDUE = "overdue"


@dataclass(frozen=True)
class ShownInvoice:
    """An invoice with what its page has of it; `payment` only while it can be paid."""

    invoice: Invoice
    tenant: Tenant
    lines: Sequence[InvoiceLine]
    payment: PaymentInstructions | None

    @property
    def lines_cents(self) -> int:
        """What the lines add up to, which is the total."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def due_cents(self) -> int:
        return self.invoice.total_cents if self.invoice.status is InvoiceStatus.OPEN else 0


def shown_status(invoice: Invoice) -> str:
    """The status that people care about: an open invoice past its due day is overdue."""
    return OVERDUE if is_overdue(invoice) else invoice.status.value


def show(session: Session, invoice: Invoice) -> ShownInvoice:
    """Read what an invoice's page shows."""
    is_open = invoice.status is InvoiceStatus.OPEN
    return ShownInvoice(
        invoice,
        session.get_one(Tenant, invoice.tenant_id),
        lines_of(session, invoice),
        payment_provider().instructions(invoice) if is_open else None,
    )


def pdf_of(session: Session, invoice: Invoice) -> Response:
    """The invoice as a PDF to keep."""
    tenant = session.get_one(Tenant, invoice.tenant_id)
    return pdf_file(invoice_pdf(invoice, lines_of(session, invoice), tenant), f"invoice-{invoice.number}.pdf")


def csv_of(session: Session, invoice: Invoice) -> Response:
    """The invoice's lines as a CSV to keep."""
    tenant = session.get_one(Tenant, invoice.tenant_id)
    text = invoice_csv(invoice, lines_of(session, invoice), tenant.name)
    return csv_file(text, f"invoice-{invoice.number}.csv")
