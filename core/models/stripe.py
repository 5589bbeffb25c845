"""What we know of Stripe's side: a mirror that only moves forward, and what is on its way there and back."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, StrEnumColumn, TenantOwned, tenant_foreign_key
from core.models.usage import UsageKind


class StripeObject(HasId, Base):
    """An object of the catalogue that was made at Stripe: which of ours it stands for, and its id there."""

    __tablename__ = "stripe_objects"
    __table_args__ = (UniqueConstraint("stripe_type", "local_key"),)

    stripe_type: Mapped[str] = mapped_column(String(40))
    local_key: Mapped[str] = mapped_column(String(120))
    stripe_id: Mapped[str] = mapped_column(String(255), unique=True)


class StripeCustomer(TenantOwned, Base):
    """A tenant at Stripe: its customer, subscription and card. `card` is `{"brand", "last4", "exp_month", "exp_year"}`.

    Stripe collects every month's invoice from the month `collects_from` on. `counted_from` has for each usage kind the
    moment from which its subscription counts it, in ISO form: what was used before, an invoice item asks for. From
    `deleted_at` on Stripe has no such customer any more: the tenant was destroyed, and its last month collected.
    """

    __tablename__ = "stripe_customers"

    customer_id: Mapped[str] = mapped_column(String(255), unique=True)
    subscription_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    subscription_status: Mapped[str | None] = mapped_column(String(40))
    plan_code: Mapped[str | None] = mapped_column(String(40))
    collects_from: Mapped[date | None] = mapped_column(Date)
    counted_from: Mapped[dict[str, Any] | None]
    card: Mapped[dict[str, Any] | None]
    fetched_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id"),)


class StripeInvoice(TenantOwned, Base):
    """Our copy of an invoice of Stripe's, and how it compared with ours line by line.

    `comparison` has `{"line", "ledger_cents", "stripe_cents"}` for each line. It is held, with a reason, while they
    differ.
    """

    __tablename__ = "stripe_invoices"

    stripe_invoice_id: Mapped[str] = mapped_column(String(255), unique=True)
    invoice_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(String(40))
    number: Mapped[str | None] = mapped_column(String(80))
    currency: Mapped[str] = mapped_column(String(3))
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    total_cents: Mapped[int]
    tax_cents: Mapped[int]
    amount_due_cents: Mapped[int]
    amount_paid_cents: Mapped[int]
    attempt_count: Mapped[int]
    next_payment_attempt: Mapped[datetime | None]
    hosted_url: Mapped[str | None] = mapped_column(Text)
    comparison: Mapped[list[dict[str, Any]] | None]
    compared_at: Mapped[datetime | None]
    held_at: Mapped[datetime | None]
    held_reason: Mapped[str | None] = mapped_column(Text)
    payment_failed_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("invoice_id", "invoices"),
            UniqueConstraint("tenant_id", "invoice_id"),
            Index(None, "held_at", postgresql_where=text("held_at IS NOT NULL")),
        )


class ReportStatus(StrEnum):
    """Where a usage report stands.

    PENDING: to be sent. SENDING: sent, and no answer known. SENT: Stripe answered 200. REJECTED: an error report
    said that it does not count. ADJUSTED: too old for Stripe, so an invoice item asks for it instead.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    REJECTED = "rejected"
    ADJUSTED = "adjusted"


class UsageReport(TenantOwned, Base):
    """One meter event: more usage of one kind in one UTC hour. `identifier` follows from tenant, kind, hour and `sequence`."""

    __tablename__ = "usage_reports"

    kind: Mapped[UsageKind] = mapped_column(StrEnumColumn(UsageKind))
    hour: Mapped[datetime]
    sequence: Mapped[int]
    quantity: Mapped[int]
    identifier: Mapped[str] = mapped_column(String(100), unique=True)
    status: Mapped[ReportStatus] = mapped_column(StrEnumColumn(ReportStatus), default=ReportStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    first_sent_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "kind", "hour", "sequence"),
            CheckConstraint("quantity > 0", name="quantity_positive"),
            Index(None, "due_at", postgresql_where=text("due_at IS NOT NULL")),
        )


class StripeEvent(HasId, Base):
    """The webhook inbox: one row for each event of Stripe's, whatever order and however often it comes.

    Only its name and what it is about are kept; handling it fetches the object as it is then.
    """

    __tablename__ = "stripe_events"
    __table_args__ = (
        UniqueConstraint("event_id"),
        Index(None, "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )

    event_id: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(120))
    object_id: Mapped[str | None] = mapped_column(String(255))
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    handled_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
