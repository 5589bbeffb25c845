"""Fine-tunes asked for over the API with a file: what remembers them until there is a dataset and a job."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.catalogue import Task
from core.models.base import Base, StrEnumColumn, TenantOwned, tenant_foreign_key


class RequestStatus(StrEnum):
    """VALIDATING: the file is being made into a dataset. LAUNCHED: the job's own status is what counts."""

    VALIDATING = "validating"
    LAUNCHED = "launched"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FineTuneRequest(TenantOwned, Base):
    """One request, by whose id the API knows the job. `fingerprint` is equal for requests that ask for the same;
    `hyperparameters` are as they were asked for, `settings` what follows from them."""

    __tablename__ = "fine_tune_requests"

    training_file_id: Mapped[UUID]
    validation_file_id: Mapped[UUID | None]
    task: Mapped[Task] = mapped_column(StrEnumColumn(Task))
    base_model: Mapped[str] = mapped_column(String(64))
    model_name: Mapped[str] = mapped_column(String(64))
    hyperparameters: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    seed: Mapped[int]
    client_metadata: Mapped[dict[str, Any] | None]
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[RequestStatus] = mapped_column(
        StrEnumColumn(RequestStatus), default=RequestStatus.VALIDATING
    )
    dataset_version_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    error: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None]
    api_key_id: Mapped[UUID | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (
            tenant_foreign_key("training_file_id", "api_files"),
            tenant_foreign_key("validation_file_id", "api_files"),
            tenant_foreign_key("dataset_version_id", "dataset_versions"),
            tenant_foreign_key("job_id", "fine_tune_jobs"),
            tenant_foreign_key("api_key_id", "api_keys"),
            Index(None, "tenant_id", "created_at"),
            Index(None, "status"),
        )
