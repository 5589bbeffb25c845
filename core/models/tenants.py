"""Tenants: the companies that Adaptary serves, and how they leave."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, StrEnumColumn, TenantOwned
from core.tenancy import ActorKind


class TenantStatus(StrEnum):
    """DELETING: in its days of grace, in which its keys are refused. DELETED: what is left is what the law asks for."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    DELETED = "deleted"

    @property
    def may_sign_in(self) -> bool:
        """Whether its people may: in the days of grace they can still take the deletion back."""
        return self in (TenantStatus.ACTIVE, TenantStatus.DELETING)


class Tenant(HasId, Base):
    """A tenant. `wrapped_data_key` encrypts its blobs and is itself encrypted under the master key; it is empty once
    it is destroyed.

    `past_due_since` is when the oldest payment that is missing failed or was due. From `payment_suspended_at` on its
    keys are refused until it is paid (billing/standing.py).
    """

    __tablename__ = "tenants"

    name: Mapped[str] = mapped_column(String(120))
    status: Mapped[TenantStatus] = mapped_column(StrEnumColumn(TenantStatus), default=TenantStatus.ACTIVE)
    wrapped_data_key: Mapped[bytes] = mapped_column(LargeBinary)
    terms_version: Mapped[str] = mapped_column(String(20))
    past_due_since: Mapped[datetime | None]
    payment_suspended_at: Mapped[datetime | None]


class TenantDeletion(TenantOwned, Base):
    """That a tenant is to be deleted at `due_at`, was asked for, and perhaps taken back or done.

    `previous_status` is what taking it back returns to. `inventory` is what there was before the first blob went, so
    that a destruction that was cut off still knows. `signature` (HMAC-SHA256, hex) is of `certificate`.
    """

    __tablename__ = "tenant_deletions"

    requested_by_kind: Mapped[ActorKind] = mapped_column(StrEnumColumn(ActorKind))
    requested_by_id: Mapped[UUID | None]
    requested_at: Mapped[datetime]
    due_at: Mapped[datetime]
    previous_status: Mapped[TenantStatus] = mapped_column(StrEnumColumn(TenantStatus))
    withdrawn_at: Mapped[datetime | None]
    inventory: Mapped[dict[str, Any] | None]
    destroyed_at: Mapped[datetime | None]
    certificate: Mapped[dict[str, Any] | None]
    signature: Mapped[str | None] = mapped_column(String(64))

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            CheckConstraint(
                "(destroyed_at IS NULL) = (certificate IS NULL) AND (certificate IS NULL) = (signature IS NULL)",
                name="certified_once_destroyed",
            ),
            Index(
                "uq_tenant_deletions_standing",
                "tenant_id",
                unique=True,
                postgresql_where=text("withdrawn_at IS NULL"),
            ),
        )
