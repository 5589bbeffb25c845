"""Payments that came in, and credit notes: what changes an invoice after it was issued."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key
from core.models.billing import Collection


class Payment(TenantOwned, Base):
    """Money received for an invoice, or with a negative amount paid back. `reference` is the bank's or Stripe's."""

    __tablename__ = "payments"

    invoice_id: Mapped[UUID]
    collection: Mapped[Collection] = mapped_column(StrEnumColumn(Collection))
    amount_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    reference: Mapped[str] = mapped_column(String(120))
    paid_at: Mapped[datetime]
    recorded_by: Mapped[str] = mapped_column(String(254))

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "invoice_id", "reference"),
            CheckConstraint("amount_cents <> 0", name="amount_not_zero"),
            tenant_foreign_key("invoice_id", "invoices"),
            Index(None, "paid_at"),
        )


class CreditNote(TenantOwned, Base):
    """Takes back part of an issued invoice, or all of it: less to pay, money paid back, or credit for later.

    `amount_cents` is the sum of `due_cents` (no longer to pay), `refund_cents` (paid back) and `credit_cents`.
    """

    __tablename__ = "credit_notes"

    number: Mapped[str] = mapped_column(String(20), unique=True)
    invoice_id: Mapped[UUID]
    reason: Mapped[str] = mapped_column(String(300))
    currency: Mapped[str] = mapped_column(String(3))
    amount_cents: Mapped[int]
    due_cents: Mapped[int]
    refund_cents: Mapped[int]
    credit_cents: Mapped[int]
    issued_at: Mapped[datetime]
    issued_by: Mapped[str] = mapped_column(String(254))
    stripe_credit_note_id: Mapped[str | None] = mapped_column(String(255), unique=True)

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("invoice_id", "invoices"),
            CheckConstraint("amount_cents = due_cents + refund_cents + credit_cents", name="amount_is_sum"),
            CheckConstraint(
                "amount_cents > 0 AND due_cents >= 0 AND refund_cents >= 0 AND credit_cents >= 0",
                name="amounts_not_negative",
            ),
            Index(None, "tenant_id", "invoice_id"),
        )


class CreditNoteCounter(Base):
    """The last credit note's number of each year, taken in the note's own transaction."""

    __tablename__ = "credit_note_counters"

    year: Mapped[int] = mapped_column(Integer, primary_key=True)
    last: Mapped[int] = mapped_column(Integer)
