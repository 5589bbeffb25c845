"""Issuing an invoice: a draft gets its number, and asks for what is to pay."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from billing.credits import grant_credit
from billing.invoices import lock_invoice, require_status
from billing.numbering import take_number
from billing.periods import last_moment_of
from billing.settlement import asked_cents
from core import audit
from core.models.billing import Collection, Invoice, InvoiceCounter, InvoiceStatus
from core.models.credit_grants import CreditKind
from core.tenancy import Actor, ActorKind

PAYMENT_TERM = timedelta(days=14)
"""From the day of issue; the last day counts in full."""

_BILLING = Actor(ActorKind.SYSTEM, None, "billing")


def issue(session: Session, invoice: Invoice, at: datetime, actor: Actor = _BILLING) -> Invoice:
    """Make a draft an invoice: open, or paid where nothing is left to pay. The caller commits.

    The one place that takes invoice numbers. Lines that sum below zero become the tenant's credit. Wants an
    operator session. Raises InvoiceStateError for one that is no draft any more.
    """
    invoice = lock_invoice(session, invoice.id)
    require_status(invoice, InvoiceStatus.DRAFT)
    invoice.number = take_number(session, InvoiceCounter, at.year)
    invoice.status, invoice.issued_at, invoice.held_reason = InvoiceStatus.OPEN, at, None
    invoice.due_at = _due(invoice, at)
    if invoice.total_cents < 0:
        _credit(session, invoice, actor, at)
    if asked_cents(invoice) == invoice.credits_cents:
        # Asking for nothing would leave an invoice that nobody can ever pay in finance's queue.
        invoice.status, invoice.paid_at, invoice.marked_by = InvoiceStatus.PAID, at, actor.label
        invoice.payment_reference = "Paid with credit" if invoice.credits_cents else "Nothing to pay"
    session.flush()
    detail = {"number": invoice.number, "total_cents": invoice.total_cents}
    audit.record_for_tenant(session, invoice.tenant_id, actor, "invoice.issued", invoice, detail)
    return invoice


def _due(invoice: Invoice, at: datetime) -> datetime:
    """Stripe takes what is to pay from the card on the day of issue; a transfer has its term."""
    term = timedelta(0) if invoice.collection is Collection.STRIPE else PAYMENT_TERM
    return last_moment_of((at + term).date())


def _credit(session: Session, invoice: Invoice, actor: Actor, at: datetime) -> None:
    grant_credit(
        session,
        actor,
        invoice.tenant_id,
        CreditKind.CREDIT_NOTE,
        -invoice.total_cents,
        invoice.currency,
        f"Invoice {invoice.number}",
        at=at,
    )
