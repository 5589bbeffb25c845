"""Models, which tenants name and call, and adapters, the trained weights behind them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.catalogue import Task
from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key
from core.models.fine_tune_jobs import Method


class Model(TenantOwned, Base):
    """What a tenant calls by name. `current_adapter_id` is the adapter that answers, if any was promoted.

    A model that was deleted stays for the ledger's sake, under a name that nobody can call.
    """

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(64))
    task: Mapped[Task] = mapped_column(StrEnumColumn(Task), default=Task.CLASSIFICATION)
    base_model: Mapped[str] = mapped_column(String(64))
    current_adapter_id: Mapped[UUID | None]
    deleted_at: Mapped[datetime | None]
    created_by_id: Mapped[UUID | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "name"),
            ForeignKeyConstraint(
                ["tenant_id", "current_adapter_id"],
                ["adapters.tenant_id", "adapters.id"],
                use_alter=True,  # models and adapters point at each other
                name="fk_models_current_adapter",
            ),
            tenant_foreign_key("created_by_id", "users"),
        )


class Adapter(TenantOwned, Base):
    """Trained weights: one version of a model, made by one job, never altered."""

    __tablename__ = "adapters"

    model_id: Mapped[UUID]
    job_id: Mapped[UUID]
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    blob: Mapped[str] = mapped_column(String(255))
    size_bytes: Mapped[int]
    base_model: Mapped[str] = mapped_column(String(64))
    base_digest: Mapped[str] = mapped_column(String(64))
    method: Mapped[Method] = mapped_column(StrEnumColumn(Method))
    rank: Mapped[int | None]
    labels: Mapped[list[str]]
    evaluation: Mapped[dict[str, Any]]
    lineage: Mapped[dict[str, Any]]
    promotable: Mapped[bool]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "job_id"),
            UniqueConstraint("tenant_id", "model_id", "version"),
            tenant_foreign_key("model_id", "models"),
            tenant_foreign_key("job_id", "fine_tune_jobs"),
        )
