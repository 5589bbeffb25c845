"""API keys: what a tenant's apps call the API with."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, TenantOwned, tenant_foreign_key


class ApiKey(TenantOwned, Base):
    """A key by its digest (core/api_keys.py); `prefix` is what a person recognises it by.

    One that `may_predict` calls models; one that `may_manage` sends files, starts fine-tunes and deletes models.
    From `expires_at` on it is refused, and so is what comes from outside of its `networks`, where it has any.
    `replaced_by_id` is the key that was made to follow it.
    `default_model_id` answers where a request names no model. `requests_per_minute` and `tokens_per_minute` are
    the key's own limits, where it has any; its plan's hold besides.
    """

    __tablename__ = "api_keys"

    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16))
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    may_predict: Mapped[bool] = mapped_column(default=True)
    may_manage: Mapped[bool] = mapped_column(default=False)
    networks: Mapped[list[str] | None]
    expires_at: Mapped[datetime | None]
    replaced_by_id: Mapped[UUID | None]
    default_model_id: Mapped[UUID | None]
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]
    created_by_id: Mapped[UUID | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("created_by_id", "users"),
            tenant_foreign_key("default_model_id", "models"),
            tenant_foreign_key("replaced_by_id", "api_keys"),
            CheckConstraint("requests_per_minute > 0 AND tokens_per_minute > 0", name="limits_positive"),
            CheckConstraint("may_predict OR may_manage", name="may_something"),
        )
