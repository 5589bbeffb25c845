"""Credits: money that a tenant has with the operator, drawn down before anything is asked for."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key


class CreditKind(StrEnum):
    """Where a grant's money comes from: given, or paid for. Only the latter two are owed back."""

    TRIAL = "trial"
    PROMOTION = "promotion"
    PREPAID = "prepaid"
    CREDIT_NOTE = "credit_note"


class CreditGrant(TenantOwned, Base):
    """An amount that a tenant may draw down until `expires_at`. `reference` makes it unique: granting again does nothing."""

    __tablename__ = "credit_grants"

    kind: Mapped[CreditKind] = mapped_column(StrEnumColumn(CreditKind))
    amount_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    reference: Mapped[str] = mapped_column(String(120))
    note: Mapped[str | None] = mapped_column(String(300))
    granted_by: Mapped[str] = mapped_column(String(254))
    granted_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "reference"),
            CheckConstraint("amount_cents > 0", name="amount_positive"),
            CheckConstraint("expires_at > granted_at", name="expires_later"),
        )


class CreditEntry(TenantOwned, Base):
    """A movement of a grant: negative where it is drawn for an invoice or expires, positive where a void invoice gives
    it back. The grant's balance is its amount and its entries; nobody alters one."""

    __tablename__ = "credit_entries"

    grant_id: Mapped[UUID]
    invoice_id: Mapped[UUID | None]
    amount_cents: Mapped[int]
    entered_at: Mapped[datetime]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("grant_id", "credit_grants"),
            tenant_foreign_key("invoice_id", "invoices"),
            CheckConstraint("amount_cents <> 0", name="amount_not_zero"),
            Index(None, "tenant_id", "grant_id"),
            Index(None, "tenant_id", "invoice_id"),
        )
