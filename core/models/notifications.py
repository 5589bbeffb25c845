"""Notifications: what a tenant's people are told by e-mail, and its systems by webhook."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, TenantOwned


class Notification(TenantOwned, Base):
    """One message to the tenant's admins and finance people, and to `webhook_url` where there is one.

    `reference` makes it unique: to notify again does nothing. What is not sent yet has a `due_at`.
    """

    __tablename__ = "notifications"

    event: Mapped[str] = mapped_column(String(60))
    reference: Mapped[str] = mapped_column(String(120))
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]]
    webhook_url: Mapped[str | None] = mapped_column(String(500))
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    emailed_at: Mapped[datetime | None]
    webhook_sent_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "reference"),
            Index(None, "due_at", postgresql_where=text("due_at IS NOT NULL")),
        )
