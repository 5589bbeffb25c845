"""Plans with versioned prices, who is on which plan, and invoices."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, StrEnumColumn, TenantOwned, tenant_foreign_key

UNIT_AMOUNT = Numeric(24, 12)
"""Cents per unit, to twelve decimals of a cent."""


class PriceKind(StrEnum):
    """What a price is for: a usage kind, the plan's monthly fee, or the least that a month costs."""

    PREDICTION = "prediction"
    TRAINING = "training"
    CHAT_INPUT = "chat_input"
    CHAT_OUTPUT = "chat_output"
    PLATFORM = "platform"
    MINIMUM = "minimum"


class PriceScheme(StrEnum):
    """How a price follows from a month's quantity.

    FLAT: `unit_amount` for each unit. GRADUATED: each tier's units at that tier's price. VOLUME: all units at the
    price of the tier that the month's total reaches.
    """

    FLAT = "flat"
    GRADUATED = "graduated"
    VOLUME = "volume"


class InvoiceStatus(StrEnum):
    """Where an invoice stands. A draft has no number yet: its payment provider has not agreed to it."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class Collection(StrEnum):
    """Who collects an invoice's amount."""

    BANK_TRANSFER = "bank_transfer"
    STRIPE = "stripe"


class Plan(Base):
    """A plan of the operator's catalogue. Its limits hold for all of a tenant's API keys together.

    One with a `contract_tenant_id` is that tenant's contract: no other tenant sees it or can be put on it. An
    unpaid invoice suspends the tenant's keys `grace_days` after the payment failed or was due.
    """

    __tablename__ = "plans"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    description: Mapped[str] = mapped_column(String(300))
    currency: Mapped[str] = mapped_column(String(3))
    position: Mapped[int]
    requests_per_minute: Mapped[int] = mapped_column(default=600)
    tokens_per_minute: Mapped[int] = mapped_column(default=250_000)
    grace_days: Mapped[int] = mapped_column(default=7)
    contract_tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))


class PlanPrice(HasId, Base):
    """One version of a price, in force from `effective_from` until the next version's; never altered.

    `tiers` follow the included quantity, of a graduated or volume price: `{"up_to", "unit_amount", "flat_amount"}`
    each, `up_to` counted without what is included and null in the last, amounts in cents as decimal strings.
    """

    __tablename__ = "plan_prices"
    __table_args__ = (
        UniqueConstraint("plan_code", "kind", "effective_from"),
        CheckConstraint("unit_amount >= 0 AND included_quantity >= 0", name="not_negative"),
        CheckConstraint("(scheme = 'flat') = (tiers IS NULL)", name="tiers_where_tiered"),
    )

    plan_code: Mapped[str] = mapped_column(ForeignKey("plans.code"))
    kind: Mapped[PriceKind] = mapped_column(StrEnumColumn(PriceKind))
    scheme: Mapped[PriceScheme] = mapped_column(StrEnumColumn(PriceScheme), default=PriceScheme.FLAT)
    unit_amount: Mapped[Decimal] = mapped_column(UNIT_AMOUNT)
    included_quantity: Mapped[int]
    tiers: Mapped[list[dict[str, Any]] | None]
    effective_from: Mapped[datetime]


class Subscription(TenantOwned, Base):
    """A tenant's plan over a span of time, half-open; `ends_at` is empty while it lasts."""

    __tablename__ = "subscriptions"

    plan_code: Mapped[str] = mapped_column(ForeignKey("plans.code"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "starts_at"),)


class Invoice(TenantOwned, Base):
    """What a tenant owes for one month, UTC, half-open. It gets its number when it leaves DRAFT.

    `total_cents` is the sum of its lines. What is to pay is that and the tax, less the credits drawn and the credit
    notes' `due_cents`. A draft is held with a reason where its payment provider's amounts are others.
    """

    __tablename__ = "invoices"

    number: Mapped[str | None] = mapped_column(String(20), unique=True)
    status: Mapped[InvoiceStatus] = mapped_column(StrEnumColumn(InvoiceStatus))
    plan_code: Mapped[str] = mapped_column(ForeignKey("plans.code"))
    currency: Mapped[str] = mapped_column(String(3))
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    total_cents: Mapped[int]
    tax_cents: Mapped[int] = mapped_column(default=0)
    credits_cents: Mapped[int] = mapped_column(default=0)
    collection: Mapped[Collection] = mapped_column(
        StrEnumColumn(Collection), default=Collection.BANK_TRANSFER
    )
    held_reason: Mapped[str | None] = mapped_column(Text)
    issued_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]
    voided_at: Mapped[datetime | None]
    uncollectible_at: Mapped[datetime | None]
    payment_reference: Mapped[str | None] = mapped_column(String(120))
    marked_by: Mapped[str | None] = mapped_column(String(254))
    note: Mapped[str | None] = mapped_column(Text)

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "period_start"),
            CheckConstraint("period_end > period_start", name="period_not_empty"),
            CheckConstraint("(number IS NULL) = (status = 'draft')", name="number_unless_draft"),
            CheckConstraint("credits_cents >= 0 AND tax_cents >= 0", name="credits_and_tax_not_negative"),
            Index(None, "status", "period_start"),
        )


class InvoiceLine(TenantOwned, Base):
    """A line of an invoice: `amount_cents` is `billable_quantity` × `unit_amount` + `flat_amount`, rounded once.

    Quantities and amounts are negative where a line takes back what was reversed after its month was invoiced.

    `usage_month` is the first day of the month that it charges for: an earlier one than the invoice's where
    usage became known after its own month was invoiced. `[starts_at, ends_at)` is when the price was in force,
    up to the moment of issue.
    """

    __tablename__ = "invoice_lines"

    invoice_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(Integer)
    kind: Mapped[PriceKind] = mapped_column(StrEnumColumn(PriceKind))
    price_id: Mapped[UUID] = mapped_column(ForeignKey("plan_prices.id"))
    usage_month: Mapped[date] = mapped_column(Date)
    description: Mapped[str] = mapped_column(String(200))
    quantity: Mapped[int]
    included_quantity: Mapped[int]
    billable_quantity: Mapped[int]
    unit_amount: Mapped[Decimal] = mapped_column(UNIT_AMOUNT)
    flat_amount: Mapped[Decimal] = mapped_column(UNIT_AMOUNT, default=Decimal(0))
    amount_cents: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "invoice_id", "position"),
            tenant_foreign_key("invoice_id", "invoices", ondelete="CASCADE"),
        )


class InvoiceCounter(Base):
    """The last invoice number of each year: taken in the invoice's own transaction, so that none is skipped."""

    __tablename__ = "invoice_counters"

    year: Mapped[int] = mapped_column(Integer, primary_key=True)
    last: Mapped[int] = mapped_column(Integer)


class ClosedMonth(Base):
    """A month, by its first day, that is over and invoiced: usage of it that turns up later goes on the next."""

    __tablename__ = "closed_months"

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    closed_at: Mapped[datetime]
    closed_by: Mapped[str] = mapped_column(String(254))
