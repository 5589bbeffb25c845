"""The audit log's tables: append-only for both database roles."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from core.models.base import Base, HasId, StrEnumColumn, TenantOwned
from core.tenancy import ActorKind


class _Event:
    at: Mapped[datetime] = mapped_column(default=now)
    actor_kind: Mapped[ActorKind] = mapped_column(StrEnumColumn(ActorKind))
    actor_id: Mapped[UUID | None]
    actor_label: Mapped[str] = mapped_column(String(254))
    action: Mapped[str] = mapped_column(String(60))
    target_type: Mapped[str] = mapped_column(String(60))
    target_id: Mapped[str] = mapped_column(String(60))
    detail: Mapped[dict[str, Any]]


class AuditEvent(TenantOwned, _Event, Base):
    """A change inside one tenant."""

    __tablename__ = "audit_events"

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (Index(None, "tenant_id", "at"),)


class StaffEvent(HasId, _Event, Base):
    """What one of the operator's staff did."""

    __tablename__ = "staff_events"
    __table_args__ = (Index(None, "at"),)
