"""Datasets and their immutable versions."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.catalogue import Task
from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key


class DatasetStatus(StrEnum):
    """UPLOADED waits for its column mapping; REVIEW shows its report and waits to be accepted."""

    UPLOADED = "uploaded"
    CHECKING = "checking"
    REVIEW = "review"
    IMPORTING = "importing"
    READY = "ready"
    FAILED = "failed"
    DISCARDED = "discarded"


class Dataset(TenantOwned, Base):
    """A name under which a tenant collects versions of its labeled data."""

    __tablename__ = "datasets"

    name: Mapped[str] = mapped_column(String(120))
    task: Mapped[Task] = mapped_column(StrEnumColumn(Task), default=Task.CLASSIFICATION)
    created_by_id: Mapped[UUID | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "name"), tenant_foreign_key("created_by_id", "users"))


class DatasetVersion(TenantOwned, Base):
    """One upload, from the raw file (`upload_blob`, deleted once imported) to the pseudonymised rows (`blob`).

    Once READY nothing changes any more: `digest` is the SHA-256 of the stored rows. `corrections_revision` counts how
    often its findings have been corrected. training/data/sources.py reads `sealed_source`: the names of the file and of its
    columns, and how it is read.
    """

    __tablename__ = "dataset_versions"

    dataset_id: Mapped[UUID]
    number: Mapped[int]
    status: Mapped[DatasetStatus] = mapped_column(
        StrEnumColumn(DatasetStatus), default=DatasetStatus.UPLOADED
    )
    format: Mapped[str] = mapped_column(String(20))
    size_bytes: Mapped[int]
    upload_blob: Mapped[str | None] = mapped_column(String(255))
    sealed_source: Mapped[bytes | None] = mapped_column(LargeBinary)
    report: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[float] = mapped_column(default=0.0)
    heartbeat_at: Mapped[datetime | None]
    digest: Mapped[str | None] = mapped_column(String(64))
    blob: Mapped[str | None] = mapped_column(String(255))
    rows: Mapped[int | None]
    labels: Mapped[list[str] | None]
    split_counts: Mapped[dict[str, Any] | None]
    policy_version: Mapped[int | None]
    corrections_revision: Mapped[int] = mapped_column(default=0)
    created_by_id: Mapped[UUID | None]
    ready_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "dataset_id", "number"),
            tenant_foreign_key("dataset_id", "datasets", ondelete="CASCADE"),
            tenant_foreign_key("created_by_id", "users"),
            Index(None, "status"),
        )


class FindingCorrection(TenantOwned, Base):
    """What somebody said of a value in an upload: that it is personal data of the kind `entity`, or (None) that it is none.

    The value is sealed under the tenant's key; `digest` is its keyed digest, by which a value is corrected once. It is
    deleted together with the upload.
    """

    __tablename__ = "finding_corrections"

    version_id: Mapped[UUID]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_value: Mapped[bytes] = mapped_column(LargeBinary)
    entity: Mapped[str | None] = mapped_column(String(40))
    created_by_id: Mapped[UUID | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "version_id", "digest"),
            tenant_foreign_key("version_id", "dataset_versions", ondelete="CASCADE"),
            tenant_foreign_key("created_by_id", "users"),
        )
