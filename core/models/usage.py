"""Usage facts: the ledger. The database lets nobody alter or delete one."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, Index, String, UniqueConstraint, case, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key


class UsageKind(StrEnum):
    """What was used, counted in tokens of the base model's tokenizer.

    A chat request has two facts: what the model read, and what it wrote.
    """

    PREDICTION = "prediction"
    TRAINING = "training"
    CHAT_INPUT = "chat_input"
    CHAT_OUTPUT = "chat_output"


ANSWERING_KINDS = frozenset({UsageKind.PREDICTION, UsageKind.CHAT_INPUT, UsageKind.CHAT_OUTPUT})
"""What models answer, as opposed to how they are trained."""


class UsageSource(StrEnum):
    API = "api"
    PLAYGROUND = "playground"
    JOB = "job"


class UsageFact(TenantOwned, Base):
    """One request's or one job's usage, recorded exactly once. `inputs` are the texts or chats read: what a chat
    wrote has none.

    A wrong fact is corrected by one more that `reverses_id` names it, with the opposite quantity and a reason.
    """

    __tablename__ = "usage_facts"

    request_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[UsageKind] = mapped_column(StrEnumColumn(UsageKind))
    quantity: Mapped[int]
    inputs: Mapped[int] = mapped_column(default=1)
    source: Mapped[UsageSource] = mapped_column(StrEnumColumn(UsageSource))
    model_id: Mapped[UUID | None]
    adapter_id: Mapped[UUID | None]
    api_key_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    reverses_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(String(300))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @classmethod
    def request_count(cls) -> ColumnElement[int]:
        """The SQL for how many requests facts are of. A chat's answer belongs to the request that was read, and a
        request whose fact was reversed counts no more."""
        one = case((cls.kind == UsageKind.CHAT_OUTPUT, 0), (cls.reverses_id.is_(None), 1), else_=-1)
        return func.coalesce(func.sum(one), 0)

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "request_id", "kind"),
            CheckConstraint("quantity >= 0 OR reverses_id IS NOT NULL", name="quantity_not_negative"),
            CheckConstraint("(reverses_id IS NULL) = (reason IS NULL)", name="reversal_has_reason"),
            tenant_foreign_key("model_id", "models"),
            tenant_foreign_key("adapter_id", "adapters"),
            tenant_foreign_key("api_key_id", "api_keys"),
            tenant_foreign_key("job_id", "fine_tune_jobs"),
            tenant_foreign_key("reverses_id", "usage_facts"),
            Index(None, "tenant_id", "occurred_at"),
            Index(
                "uq_usage_facts_reverses_id",
                "tenant_id",
                "reverses_id",
                unique=True,
                postgresql_where=text("reverses_id IS NOT NULL"),
            ),
            # Rows lie on disk in the order of this column: a few pages of index find the late ones.
            Index(None, "recorded_at", postgresql_using="brin"),
        )
