"""Exports: everything that a tenant owns, in one archive."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key


class ExportStatus(StrEnum):
    QUEUED = "queued"
    EXPORTING = "exporting"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"


class DataExport(TenantOwned, Base):
    """One archive: a zip in `blob` from READY until it is EXPIRED. Its worker holds it by `heartbeat_at`."""

    __tablename__ = "data_exports"

    status: Mapped[ExportStatus] = mapped_column(StrEnumColumn(ExportStatus), default=ExportStatus.QUEUED)
    progress: Mapped[float] = mapped_column(default=0.0)
    heartbeat_at: Mapped[datetime | None]
    blob: Mapped[str | None] = mapped_column(String(255))
    size_bytes: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    requested_by_id: Mapped[UUID | None]
    expires_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("requested_by_id", "users"),
            Index(
                "uq_data_exports_under_way",
                "tenant_id",
                unique=True,
                postgresql_where=text("status IN ('queued', 'exporting')"),
            ),
        )
