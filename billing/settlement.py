"""What is left to pay of an invoice, and how the rest of its amount was settled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from core.models.billing import Invoice, InvoiceStatus
from core.models.payments import CreditNote, Payment

_OWED = frozenset({InvoiceStatus.DRAFT, InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE})


@dataclass(frozen=True)
class Settlement:
    """An invoice's amount and what was set against it, in cents.

    `asked_cents` is the lines' sum with the tax; where reversals make the lines sum below zero it is nothing, and
    the tenant has the sum as credit. `noted_cents` is what credit notes took off or had paid back, and
    `paid_cents` what was paid, less what was paid back.
    """

    asked_cents: int
    credits_cents: int
    noted_cents: int
    paid_cents: int
    is_owed: bool

    @property
    def left_cents(self) -> int:
        """What credits, credit notes and payments leave of the amount."""
        return self.asked_cents - self.credits_cents - self.noted_cents - self.paid_cents

    @property
    def to_pay_cents(self) -> int:
        """What is still asked for: nothing of a void invoice, whatever is left of it."""
        return self.left_cents if self.is_owed else 0


def asked_cents(invoice: Invoice) -> int:
    """What an invoice asks for before credits: its lines' sum with the tax, and nothing for a sum below zero."""
    return max(0, invoice.total_cents) + invoice.tax_cents


def tax_share(invoice: Invoice, noted_cents: int) -> int:
    """The tax in what credit notes took back so far, so that all of it is back with the whole amount."""
    asked = asked_cents(invoice)
    return invoice.tax_cents * noted_cents // asked if asked else 0


def settlement_of(session: Session, invoice: Invoice) -> Settlement:
    """How one invoice is settled as the session sees it."""
    return settlements(session, [invoice])[invoice.id]


def settlements(session: Session, invoices: Iterable[Invoice]) -> Mapping[UUID, Settlement]:
    """How each of the invoices is settled, by its id."""
    listed = list(invoices)
    # One array, since a statement takes no more than 65,535 values.
    ids = any_(cast([invoice.id for invoice in listed], ARRAY(PG_UUID(as_uuid=True))))
    paid = dict(
        session.execute(
            select(Payment.invoice_id, func.sum(Payment.amount_cents))
            .where(Payment.invoice_id == ids)
            .group_by(Payment.invoice_id)
        ).all()
    )
    noted = dict(
        session.execute(
            select(CreditNote.invoice_id, func.sum(CreditNote.due_cents + CreditNote.refund_cents))
            .where(CreditNote.invoice_id == ids)
            .group_by(CreditNote.invoice_id)
        ).all()
    )
    return {
        invoice.id: Settlement(
            asked_cents(invoice),
            invoice.credits_cents,
            int(noted.get(invoice.id, 0)),
            int(paid.get(invoice.id, 0)),
            invoice.status in _OWED,
        )
        for invoice in listed
    }
