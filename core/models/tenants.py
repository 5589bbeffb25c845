"""Tenants: the companies that Adaptary serves."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, StrEnumColumn


class TenantStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Tenant(HasId, Base):
    """A tenant. `wrapped_data_key` encrypts its blobs and is itself encrypted under the master key.

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
