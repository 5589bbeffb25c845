"""Privacy policies: which personal data a tenant wants found and replaced."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, TenantOwned, tenant_foreign_key


class PrivacyPolicy(TenantOwned, Base):
    """One version of a tenant's policy, or of one that a model of its own has; none is ever altered.

    Versions are numbered through, so that a number names one policy. The highest of a model is in force for it, unless
    that is `withdrawn`; else the highest of those without a model is. `sealed_lists` are the values that it names, for
    core/privacy/sealed_lists.py.
    """

    __tablename__ = "privacy_policies"

    version: Mapped[int]
    entities: Mapped[list[str]]
    operators: Mapped[dict[str, Any]]
    sealed_lists: Mapped[bytes | None] = mapped_column(LargeBinary)
    enabled: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(String(500))
    model_id: Mapped[UUID | None]
    withdrawn: Mapped[bool]
    created_by_id: Mapped[UUID | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "version"),
            CheckConstraint("enabled OR reason IS NOT NULL", name="off_has_reason"),
            CheckConstraint("NOT withdrawn OR model_id IS NOT NULL", name="withdrawn_of_model"),
            tenant_foreign_key("model_id", "models"),
            tenant_foreign_key("created_by_id", "users"),
        )
