"""Fine-tune jobs: the record of what a worker is to do, does and did."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key


class Method(StrEnum):
    """How the base model is adapted: low-rank changes beside its layers, or the layers' own weights."""

    LORA = "lora"
    FULL = "full"


class JobStatus(StrEnum):
    QUEUED = "queued"
    PREPARING = "preparing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)

    @property
    def is_running(self) -> bool:
        return self in (JobStatus.PREPARING, JobStatus.TRAINING, JobStatus.EVALUATING)


RUNNING_STATUSES = tuple(status for status in JobStatus if status.is_running)


class FineTuneJob(TenantOwned, Base):
    """A fine-tune. Whoever has its `lease_token` is its worker, and nobody else writes; after `lease_expires_at`
    another may be given it.

    `started_at` is when its first attempt did; `lost_attempts` counts those that were cut off since its last
    checkpoint.
    """

    __tablename__ = "fine_tune_jobs"

    model_id: Mapped[UUID]
    dataset_version_id: Mapped[UUID]
    base_model: Mapped[str] = mapped_column(String(64))
    method: Mapped[Method] = mapped_column(StrEnumColumn(Method), default=Method.LORA)
    settings: Mapped[dict[str, Any]]
    seed: Mapped[int]
    status: Mapped[JobStatus] = mapped_column(StrEnumColumn(JobStatus), default=JobStatus.QUEUED)
    phase_message: Mapped[str | None] = mapped_column(String(200))
    progress: Mapped[float] = mapped_column(default=0.0)
    eta_seconds: Mapped[int | None]
    estimate: Mapped[dict[str, Any] | None]
    attempt: Mapped[int] = mapped_column(default=0)
    lost_attempts: Mapped[int] = mapped_column(default=0)
    lease_token: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    checkpoint_blob: Mapped[str | None] = mapped_column(String(255))
    evaluation: Mapped[dict[str, Any] | None]
    training_tokens: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_by_id: Mapped[UUID | None]
    queued_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("model_id", "models"),
            tenant_foreign_key("dataset_version_id", "dataset_versions"),
            tenant_foreign_key("created_by_id", "users"),
            Index(None, "status", "queued_at"),
            Index(None, "tenant_id", "queued_at"),
        )


class JobMetric(TenantOwned, Base):
    """One point of a curve: train_loss, validation_loss, validation_accuracy or validation_macro_f1 at a step."""

    __tablename__ = "job_metrics"

    job_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(40))
    step: Mapped[int]
    epoch: Mapped[float]
    value: Mapped[float]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "job_id", "name", "step"),
            tenant_foreign_key("job_id", "fine_tune_jobs", ondelete="CASCADE"),
        )


class JobLogLine(TenantOwned, Base):
    """A line of a job's log, as its tenant sees it."""

    __tablename__ = "job_log_lines"

    job_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(default=now)
    level: Mapped[str] = mapped_column(String(10), default="info")
    message: Mapped[str] = mapped_column(String(500))

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("job_id", "fine_tune_jobs", ondelete="CASCADE"),
            Index(None, "tenant_id", "job_id", "at"),
        )
