"""Privacy policies: which personal data a tenant wants found and replaced."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, TenantOwned, tenant_foreign_key


class PrivacyPolicy(TenantOwned, Base):
    """One version of a tenant's policy; the highest version is in force, and none is ever altered."""

    __tablename__ = "privacy_policies"

    version: Mapped[int]
    entities: Mapped[list[str]]
    allow_list: Mapped[list[str]]
    enabled: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(String(500))
    created_by_id: Mapped[UUID | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "version"),
            CheckConstraint("enabled OR reason IS NOT NULL", name="off_has_reason"),
            tenant_foreign_key("created_by_id", "users"),
        )
