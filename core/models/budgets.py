"""Budgets: what a tenant, or one of its keys, may spend on usage in a month, and what has been reserved of it."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key
from core.models.usage import UsageKind


class Budget(TenantOwned, Base):
    """A monthly amount for the whole tenant, or for the one key `api_key_id`.

    With `is_cap`, work that could exceed it is refused; without, it only alerts. `webhook_url` is told of alerts.
    """

    __tablename__ = "budgets"

    api_key_id: Mapped[UUID | None]
    monthly_cents: Mapped[int]
    is_cap: Mapped[bool]
    webhook_url: Mapped[str | None] = mapped_column(String(500))

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "api_key_id", postgresql_nulls_not_distinct=True),
            CheckConstraint("monthly_cents >= 0", name="amount_not_negative"),
            tenant_foreign_key("api_key_id", "api_keys", ondelete="CASCADE"),
        )


class UsageCounter(TenantOwned, Base):
    """The ledger's sum of one kind over `[starts_at, ends_at)`, a stretch of a month in which no price changes: of the
    whole tenant, or of one key. Kept where there is a budget.

    A trigger moves it in the transaction that records the fact, so it always equals the ledger.
    """

    __tablename__ = "usage_counters"

    api_key_id: Mapped[UUID | None]
    kind: Mapped[UsageKind] = mapped_column(StrEnumColumn(UsageKind))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    quantity: Mapped[int]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint(
                "tenant_id", "starts_at", "api_key_id", "kind", postgresql_nulls_not_distinct=True
            ),
            tenant_foreign_key("api_key_id", "api_keys", ondelete="CASCADE"),
        )


class BudgetReservation(TenantOwned, Base):
    """What one request or job under way may use at most, by kind.

    A kind is gone once its fact is recorded, by a trigger in that transaction. Should the process have died, nothing
    counts any more after `expires_at`; a job's holds until the job ends. `occurs_at` is when the usage will have
    happened; of a job, which uses when it ends, it is empty.
    """

    __tablename__ = "budget_reservations"

    request_id: Mapped[str] = mapped_column(String(64))
    api_key_id: Mapped[UUID | None]
    quantities: Mapped[dict[str, Any]]
    occurs_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "request_id"),
            tenant_foreign_key("api_key_id", "api_keys", ondelete="CASCADE"),
            Index(None, "expires_at"),
        )


class BudgetAlert(TenantOwned, Base):
    """That a budget's spend passed a threshold in a month: said once."""

    __tablename__ = "budget_alerts"

    budget_id: Mapped[UUID]
    month: Mapped[date] = mapped_column(Date)
    threshold_percent: Mapped[int]
    spent_cents: Mapped[int]
    reached_at: Mapped[datetime]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "budget_id", "month", "threshold_percent"),
            tenant_foreign_key("budget_id", "budgets", ondelete="CASCADE"),
        )
