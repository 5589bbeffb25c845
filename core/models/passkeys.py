"""Passkeys: the public half of the keys that people's devices sign in with. The private half never leaves a device."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, TenantOwned, tenant_foreign_key


class Passkey:
    """A WebAuthn credential: `public_key` is in COSE form, `sign_count` the last one that the device told.

    `transports` is how a browser reaches the device; `name` is what its owner calls it.
    """

    name: Mapped[str] = mapped_column(String(80))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int]
    transports: Mapped[list[str] | None]
    last_used_at: Mapped[datetime | None]


class UserPasskey(Passkey, TenantOwned, Base):
    """A passkey of a tenant's user."""

    __tablename__ = "user_passkeys"

    user_id: Mapped[UUID]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("user_id", "users", ondelete="CASCADE"),
            Index(None, "tenant_id", "user_id"),
        )


class StaffPasskey(Passkey, HasId, Base):
    """A passkey of one of the operator's staff. The app's database role cannot read this table."""

    __tablename__ = "staff_passkeys"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
