"""Mail about somebody's own account: what is to be sent, and which of the links that were sent are still good."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, HasId, StrEnumColumn, TenantOwned, tenant_foreign_key


class MailKind(StrEnum):
    """What a mail is about. The first four carry a link."""

    VERIFY_ADDRESS = "verify_address"
    CONFIRM_NEW_ADDRESS = "confirm_new_address"
    ADDRESS_CHANGED = "address_changed"
    RESET_PASSWORD = "reset_password"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    CODES_TURNED_ON = "codes_turned_on"
    CODES_TURNED_OFF = "codes_turned_off"
    SECOND_FACTOR_TAKEN_AWAY = "second_factor_taken_away"


class Mail:
    """One mail to one `address`. What is not sent yet has a `due_at`.

    Its link holds a token of which the row has the digest alone, from when it is sent; the link is good until
    `expires_at`, and once: from `used_at` on it is not.
    """

    kind: Mapped[MailKind] = mapped_column(StrEnumColumn(MailKind))
    address: Mapped[str] = mapped_column(String(254))
    token_digest: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)


class UserMail(Mail, TenantOwned, Base):
    """A mail to a tenant's user."""

    __tablename__ = "user_mails"

    user_id: Mapped[UUID]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("user_id", "users", ondelete="CASCADE"),
            Index(None, "tenant_id", "user_id"),
            Index(None, "due_at", postgresql_where=text("due_at IS NOT NULL")),
        )


class StaffMail(Mail, HasId, Base):
    """A mail to one of the operator's staff. The app's database role cannot read this table."""

    __tablename__ = "staff_mails"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
