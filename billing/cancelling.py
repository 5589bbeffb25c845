"""Taking an invoice back, and giving up one that nobody pays."""

from uuid import UUID

from sqlalchemy.orm import Session

from billing import standing
from billing.credit_notes import list_credit_notes
from billing.credits import return_credits
from billing.invoices import InvoiceStateError, lock_invoice, note_change, require_status
from billing.issuing import issue
from billing.payments import list_payments
from core.clock import now
from core.models.billing import Invoice, InvoiceStatus
from core.tenancy import Actor


def void(session: Session, actor: Actor, invoice_id: UUID, reason: str) -> Invoice:
    """Cancel an invoice for good: it is not owed, and its usage not invoiced again. The caller commits.

    The credits that it drew go back. A draft gets its number first, so that what was cancelled can be named.
    Wants an operator session. Raises InvoiceNotFound; InvoiceStateError for an invoice that is neither a draft nor
    open, that was paid in part or has a credit note, and without a reason.
    """
    reason = _reason(reason, "Say why the invoice is void.")
    invoice, at = lock_invoice(session, invoice_id), now()
    require_status(invoice, InvoiceStatus.DRAFT, InvoiceStatus.OPEN)
    if invoice.status is InvoiceStatus.DRAFT and invoice.total_cents < 0:
        raise InvoiceStateError("It gives the tenant credit: issue it, nothing is to pay of it.")
    if list_payments(session, invoice) or list_credit_notes(session, invoice):
        raise InvoiceStateError(
            "It has a payment or a credit note, which a void invoice would leave hanging: "
            "take back what is left of it with a credit note."
        )
    if invoice.status is InvoiceStatus.DRAFT:
        invoice = issue(session, invoice, at, actor)
    return_credits(session, invoice, at)
    invoice.status, invoice.voided_at, invoice.marked_by = InvoiceStatus.VOID, at, actor.label
    invoice.paid_at, invoice.payment_reference = None, None
    _add_note(invoice, f"Void: {reason}")
    standing.refresh(session, invoice.tenant_id)
    note_change(session, actor, "invoice.voided", invoice, {"reason": reason})
    return invoice


def mark_uncollectible(session: Session, actor: Actor, invoice_id: UUID, reason: str) -> Invoice:
    """Give up an open invoice: nobody is reminded of it any more, but it is still owed. The caller commits.

    Should it be paid after all, the payment is recorded like any other. Wants an operator session. Raises
    InvoiceNotFound; InvoiceStateError for an invoice that is not open, or without a reason.
    """
    reason = _reason(reason, "Say why the invoice is given up.")
    invoice = lock_invoice(session, invoice_id)
    require_status(invoice, InvoiceStatus.OPEN)
    invoice.status, invoice.uncollectible_at = InvoiceStatus.UNCOLLECTIBLE, now()
    invoice.marked_by = actor.label
    session.flush()
    note_change(session, actor, "invoice.given_up", invoice, {"reason": reason})
    return invoice


def _reason(reason: str, complaint: str) -> str:
    reason = reason.strip()
    if not reason:
        raise InvoiceStateError(complaint)
    return reason


def _add_note(invoice: Invoice, line: str) -> None:
    invoice.note = "\n".join(filter(None, (invoice.note, line)))
