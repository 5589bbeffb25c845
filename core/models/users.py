"""Users, who each belong to one tenant, and the invites that make them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key
from core.models.second_factor import HasSecondFactor
from core.tenancy import Role


class User(HasSecondFactor, TenantOwned, Base):
    """A person who signs in to the portal. An e-mail address is kept in lower case and belongs to one user.

    `email_verified_at` is when they showed that they read what is sent there.
    """

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[datetime | None]
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(StrEnumColumn(Role))
    last_login_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]


class Invite(TenantOwned, Base):
    """An invitation by link: the token is in the link alone, the row holds its digest."""

    __tablename__ = "invites"

    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[Role] = mapped_column(StrEnumColumn(Role))
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    invited_by_id: Mapped[UUID | None]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("invited_by_id", "users"),
            Index(
                "uq_invites_open",
                "tenant_id",
                "email",
                unique=True,
                postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
            ),
        )
