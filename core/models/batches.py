"""Batches: a file of requests that is answered line by line into another file."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key


class BatchStatus(StrEnum):
    """As OpenAI's API names them. Its `finalizing` is left out: here that is one transaction."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        return self not in UNFINISHED


UNFINISHED = (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING)


class Batch(TenantOwned, Base):
    """A batch. Its worker holds it by `heartbeat_at`; what it has answered is in `parts` blobs of some lines each.

    `read_bytes` and `read_lines` are how far of the input file those parts go. `webhook_due_at` is when to tell
    `webhook_url` that it has ended, for the first time or again.
    """

    __tablename__ = "batches"

    input_file_id: Mapped[UUID]
    output_file_id: Mapped[UUID | None]
    error_file_id: Mapped[UUID | None]
    endpoint: Mapped[str] = mapped_column(String(64))
    completion_window: Mapped[str] = mapped_column(String(8))
    client_metadata: Mapped[dict[str, Any] | None]
    status: Mapped[BatchStatus] = mapped_column(StrEnumColumn(BatchStatus), default=BatchStatus.VALIDATING)
    error: Mapped[str | None] = mapped_column(Text)
    error_line: Mapped[int | None]
    total: Mapped[int] = mapped_column(default=0)
    completed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    read_lines: Mapped[int] = mapped_column(default=0)
    read_bytes: Mapped[int] = mapped_column(default=0)
    parts: Mapped[int] = mapped_column(default=0)
    heartbeat_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    cancelling_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    api_key_id: Mapped[UUID]
    webhook_url: Mapped[str | None] = mapped_column(String(512))
    webhook_due_at: Mapped[datetime | None]
    webhook_attempts: Mapped[int] = mapped_column(default=0)

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("input_file_id", "api_files"),
            tenant_foreign_key("output_file_id", "api_files"),
            tenant_foreign_key("error_file_id", "api_files"),
            tenant_foreign_key("api_key_id", "api_keys"),
            Index(None, "tenant_id", "created_at"),
            Index(None, "status"),
            Index(None, "webhook_due_at"),
        )
