"""What is under way across tenants: fine-tunes and datasets that wait or run, and the workers for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from rq import Worker
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import now
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.fine_tune_jobs import RUNNING_STATUSES, FineTuneJob, JobStatus
from core.models.models import Model
from core.models.tenants import Tenant
from core.queues import Queue, redis, rq_queue

SILENT_AFTER = timedelta(seconds=60)
"""A worker whose row has had no heartbeat for so long is worth a look."""

LISTED = 200

_DATASET_WORK = (DatasetStatus.CHECKING, DatasetStatus.IMPORTING)


@dataclass(frozen=True)
class Work:
    """A job or a dataset version under way. `waiting_since` is when it was queued or made."""

    kind: str
    id: UUID
    tenant_id: UUID
    tenant_name: str
    name: str
    status: str
    progress: float
    waiting_since: datetime
    heartbeat_at: datetime | None
    lease_expires_at: datetime | None
    attempt: int | None
    cancel_requested: bool

    @property
    def is_waiting(self) -> bool:
        return self.status == JobStatus.QUEUED

    @property
    def is_silent(self) -> bool:
        """Whether its worker has said nothing for too long."""
        return not self.is_waiting and (self.heartbeat_at is None or now() - self.heartbeat_at > SILENT_AFTER)


@dataclass(frozen=True)
class QueueState:
    """Everything under way, and of each queue how many workers serve it and how many rings wait for one."""

    work: Sequence[Work]
    workers: dict[Queue, int]
    rings: dict[Queue, int]

    @property
    def waiting(self) -> int:
        return sum(work.is_waiting for work in self.work)

    @property
    def running(self) -> int:
        return len(self.work) - self.waiting

    @property
    def waiting_longest(self) -> datetime | None:
        """Since when the first of those that wait has waited."""
        return min((work.waiting_since for work in self.work if work.is_waiting), default=None)


def read_queue(session: Session) -> QueueState:
    """Look at the rows and the workers. `session` is an operator session."""
    return QueueState(
        work=[*_fine_tunes(session), *_datasets(session)],
        workers={queue: Worker.count(connection=redis(), queue=rq_queue(queue)) for queue in Queue},
        rings={queue: rq_queue(queue).count for queue in Queue},
    )


def _fine_tunes(session: Session) -> list[Work]:
    rows = session.execute(
        select(FineTuneJob, Model.name, Tenant.name)
        .join(Model, Model.id == FineTuneJob.model_id)
        .join(Tenant, Tenant.id == FineTuneJob.tenant_id)
        .where(FineTuneJob.status.in_((JobStatus.QUEUED, *RUNNING_STATUSES)))
        .order_by(FineTuneJob.status == JobStatus.QUEUED, FineTuneJob.queued_at)
        .limit(LISTED)
    )
    return [
        Work(
            kind="Fine-tune",
            id=job.id,
            tenant_id=job.tenant_id,
            tenant_name=tenant,
            name=model,
            status=job.status,
            progress=job.progress,
            waiting_since=job.queued_at,
            heartbeat_at=job.heartbeat_at,
            lease_expires_at=job.lease_expires_at,
            attempt=job.attempt,
            cancel_requested=job.cancel_requested_at is not None,
        )
        for job, model, tenant in rows
    ]


def _datasets(session: Session) -> list[Work]:
    rows = session.execute(
        select(DatasetVersion, Dataset.name, Tenant.name)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .join(Tenant, Tenant.id == DatasetVersion.tenant_id)
        .where(DatasetVersion.status.in_(_DATASET_WORK))
        .order_by(DatasetVersion.created_at)
        .limit(LISTED)
    )
    return [
        Work(
            kind="Dataset",
            id=version.id,
            tenant_id=version.tenant_id,
            tenant_name=tenant,
            name=f"{dataset}, version {version.number}",
            status=version.status,
            progress=version.progress,
            waiting_since=version.created_at,
            heartbeat_at=version.heartbeat_at,
            lease_expires_at=None,
            attempt=None,
            cancel_requested=False,
        )
        for version, dataset, tenant in rows
    ]
