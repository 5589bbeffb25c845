"""Sign-ins: a row for each browser that somebody is signed in with. The one whose row is gone is signed out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, TenantOwned, tenant_foreign_key


class SignIn:
    """What is noted of a sign-in: the browser's name, and the network that it came from, not its address."""

    device: Mapped[str] = mapped_column(String(80))
    network: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class UserSession(SignIn, TenantOwned, Base):
    """A sign-in of a tenant's user."""

    __tablename__ = "user_sessions"

    user_id: Mapped[UUID]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("user_id", "users", ondelete="CASCADE"),
            Index(None, "tenant_id", "user_id"),
        )


class StaffSession(SignIn, HasId, Base):
    """A sign-in of one of the operator's staff. The app's database role cannot read this table."""

    __tablename__ = "staff_sessions"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
