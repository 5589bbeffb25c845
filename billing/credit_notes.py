"""Credit notes: what takes back part of an issued invoice, or all of it, under a number of its own."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.credits import grant_credit
from billing.invoices import InvoiceStateError, lock_invoice, note_change, require_status
from billing.money import money
from billing.numbering import take_number
from billing.payments import settle
from billing.settlement import asked_cents, settlement_of, tax_share
from core.clock import now
from core.models.billing import Invoice, InvoiceStatus
from core.models.credit_grants import CreditKind
from core.models.payments import CreditNote, CreditNoteCounter, Payment
from core.tenancy import Actor


class CreditNoteNotFound(LookupError):
    """No credit note that this session sees has the id."""


class Remedy(StrEnum):
    """What becomes of the part of a credit note that is not just left off what is to pay."""

    REFUND = "refund"
    CREDIT = "credit"


def issue_credit_note(
    session: Session,
    actor: Actor,
    invoice_id: UUID,
    amount_cents: int,
    reason: str,
    remedy: Remedy = Remedy.CREDIT,
    at: datetime | None = None,
) -> CreditNote:
    """Take back part of an invoice. The caller commits.

    What is left to pay gets less first; what the note has beyond that is paid back or becomes credit. An open
    invoice that nothing is left to pay of is paid. Wants an operator session. Raises InvoiceNotFound;
    InvoiceStateError for an invoice that is neither open nor paid, without a reason, and for an amount that is not
    positive, more than the invoice asked for, or with more to refund than was paid.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= 300:
        raise InvoiceStateError("Say what the credit note is for, in 1 to 300 characters.")
    invoice = lock_invoice(session, invoice_id)
    require_status(invoice, InvoiceStatus.OPEN, InvoiceStatus.PAID)
    at = at or now()
    settled = settlement_of(session, invoice)
    due = min(amount_cents, settled.to_pay_cents)
    rest = amount_cents - due
    _check(session, invoice, amount_cents, rest if remedy is Remedy.REFUND else 0, settled.paid_cents)
    note = CreditNote(
        tenant_id=invoice.tenant_id,
        number=f"CN-{take_number(session, CreditNoteCounter, at.year)}",
        invoice_id=invoice.id,
        reason=reason,
        currency=invoice.currency,
        amount_cents=amount_cents,
        due_cents=due,
        refund_cents=rest if remedy is Remedy.REFUND else 0,
        credit_cents=rest if remedy is Remedy.CREDIT else 0,
        issued_at=at,
        issued_by=actor.label,
    )
    session.add(note)
    _carry_out(session, actor, invoice, note, at)
    if due and due == settled.to_pay_cents:
        settle(session, invoice, actor, note.number, at)
    session.flush()
    detail = {"credit_note": note.number, "amount_cents": amount_cents, "reason": reason}
    note_change(session, actor, "invoice.credited", invoice, detail)
    return note


def list_credit_notes(session: Session, invoice: Invoice) -> Sequence[CreditNote]:
    """An invoice's credit notes, the oldest first."""
    return session.scalars(
        select(CreditNote)
        .where(CreditNote.tenant_id == invoice.tenant_id, CreditNote.invoice_id == invoice.id)
        .order_by(CreditNote.issued_at, CreditNote.number)
    ).all()


def get_credit_note(session: Session, note_id: UUID) -> CreditNote:
    """Raises CreditNoteNotFound where the session sees no such credit note."""
    note = session.get(CreditNote, note_id)
    if note is None:
        raise CreditNoteNotFound(f"There is no credit note {note_id}.")
    return note


def tax_in(session: Session, note: CreditNote, invoice: Invoice) -> int:
    """The tax that a credit note takes back, in cents: its part of the invoice's, by the amounts."""
    until = session.scalar(
        select(func.sum(CreditNote.amount_cents)).where(
            CreditNote.tenant_id == note.tenant_id,
            CreditNote.invoice_id == note.invoice_id,
            CreditNote.number <= note.number,
        )
    )
    noted = int(until or 0)
    return tax_share(invoice, noted) - tax_share(invoice, noted - note.amount_cents)


def creditable_cents(session: Session, invoice: Invoice) -> int:
    """What credit notes may still take back of an invoice."""
    noted = session.scalar(
        select(func.coalesce(func.sum(CreditNote.amount_cents), 0)).where(
            CreditNote.tenant_id == invoice.tenant_id, CreditNote.invoice_id == invoice.id
        )
    )
    return asked_cents(invoice) - int(noted or 0)


def _check(session: Session, invoice: Invoice, amount_cents: int, refund_cents: int, paid_cents: int) -> None:
    if amount_cents <= 0:
        raise InvoiceStateError("Give an amount of at least one cent.")
    creditable = creditable_cents(session, invoice)
    if amount_cents > creditable:
        raise InvoiceStateError(
            f"Credit notes cannot take back more than the invoice asked for: "
            f"{money(creditable, invoice.currency)} is left."
        )
    if refund_cents > paid_cents:
        raise InvoiceStateError(
            f"{money(paid_cents, invoice.currency)} was paid, and no more can be paid back: give it as credit."
        )


def _carry_out(session: Session, actor: Actor, invoice: Invoice, note: CreditNote, at: datetime) -> None:
    if note.refund_cents:
        session.add(
            Payment(
                tenant_id=invoice.tenant_id,
                invoice_id=invoice.id,
                collection=invoice.collection,
                amount_cents=-note.refund_cents,
                currency=invoice.currency,
                reference=note.number,
                paid_at=at,
                recorded_by=actor.label,
                created_at=now(),
            )
        )
    if note.credit_cents:
        grant_credit(
            session,
            actor,
            invoice.tenant_id,
            CreditKind.CREDIT_NOTE,
            note.credit_cents,
            invoice.currency,
            note.number,
            at=at,
        )
