"""API keys: what a tenant's apps call the API with."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, TenantOwned, tenant_foreign_key


class ApiKey(TenantOwned, Base):
    """A key by its digest (core/api_keys.py); `prefix` is what a person recognises it by.

    One that `may_predict` calls models; one that `may_manage` sends files, starts fine-tunes and deletes models.
    Where `is_limited_to_models`, only those of its `ApiKeyModel` rows exist for it. `endpoints` are the ones that it
    may call models by; None is all of them.
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
    is_limited_to_models: Mapped[bool] = mapped_column(default=False)
    endpoints: Mapped[list[str] | None]
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


class ApiKeyModel(TenantOwned, Base):
    """A model that a limited key reaches: one of its tenant's, or a base model by its id."""

    __tablename__ = "api_key_models"

    api_key_id: Mapped[UUID]
    model_id: Mapped[UUID | None]
    base_model: Mapped[str | None] = mapped_column(String(64))

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("api_key_id", "api_keys", ondelete="CASCADE"),
            tenant_foreign_key("model_id", "models"),
            CheckConstraint("(model_id IS NULL) != (base_model IS NULL)", name="one_model"),
            Index(None, "tenant_id", "api_key_id"),
        )
