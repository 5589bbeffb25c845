"""How long a tenant's data is kept."""

from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped

from core.models.base import Base, TenantOwned


class RetentionRules(TenantOwned, Base):
    """After how many days a tenant's data is deleted by itself; what has none stays until somebody deletes it.

    Datasets count from when they were ready, files of the API from when they came or were made, and the checkpoints of
    cancelled fine-tunes from when those ended.
    """

    __tablename__ = "retention_rules"

    dataset_days: Mapped[int | None]
    file_days: Mapped[int | None]
    checkpoint_days: Mapped[int | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id"),
            CheckConstraint(
                "dataset_days > 0 AND file_days > 0 AND checkpoint_days > 0", name="days_positive"
            ),
        )
