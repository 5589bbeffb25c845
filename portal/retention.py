"""How long a tenant's data is kept: its admins say, and the clock deletes what is older.

A blob goes before the row says so: a clock that is killed in between finds the row again, and no blob stays behind.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core import audit
from core.clock import now
from core.models.batches import UNFINISHED, Batch
from core.models.datasets import DatasetStatus, DatasetVersion
from core.models.files import ApiFile
from core.models.fine_tune_jobs import RUNNING_STATUSES, FineTuneJob, JobStatus
from core.models.fine_tune_requests import FineTuneRequest, RequestStatus
from core.models.retention import RetentionRules
from core.storage import blob_store, tenant_key
from core.tenancy import TenantScope, system_scope

_LABEL = "clock"


def rules_of(session: Session, scope: TenantScope) -> RetentionRules:
    """The tenant's rules; a row not yet stored that keeps everything where it has set none."""
    found = session.scalar(select(RetentionRules).where(RetentionRules.tenant_id == scope.tenant_id))
    return found or RetentionRules(tenant_id=scope.tenant_id)


def change_rules(
    session: Session,
    scope: TenantScope,
    *,
    dataset_days: int | None,
    file_days: int | None,
    checkpoint_days: int | None,
) -> None:
    """Set the tenant's rules; they hold for what is there already. None: until somebody deletes it."""
    rules = rules_of(session, scope)
    rules.dataset_days, rules.file_days, rules.checkpoint_days = dataset_days, file_days, checkpoint_days
    session.add(rules)
    session.flush()
    detail = {"dataset_days": dataset_days, "file_days": file_days, "checkpoint_days": checkpoint_days}
    audit.record(session, scope, "retention.changed", rules, detail)


def list_tenants(session: Session) -> list[UUID]:
    """The ids of tenants that have data deleted by itself. `session` is an operator session."""
    return list(
        session.scalars(
            select(RetentionRules.tenant_id).where(
                or_(
                    RetentionRules.dataset_days.is_not(None),
                    RetentionRules.file_days.is_not(None),
                    RetentionRules.checkpoint_days.is_not(None),
                )
            )
        )
    )


def clock_scope(tenant_id: UUID) -> TenantScope:
    """The scope in which the clock enforces one tenant's rules."""
    return system_scope(tenant_id, _LABEL)


def enforce(session: Session, scope: TenantScope, at: datetime | None = None) -> None:
    """Delete what the tenant's rules no longer keep, but nothing that a job or batch still needs. The caller commits."""
    rules = rules_of(session, scope)
    at = at or now()
    deleted = {
        "datasets": _datasets(session, scope, _since(rules.dataset_days, at), rules.dataset_days),
        "files": _files(session, scope, _since(rules.file_days, at), at),
        "checkpoints": _checkpoints(session, scope, _since(rules.checkpoint_days, at)),
    }
    if any(deleted.values()):
        audit.record(session, scope, "retention.applied", rules, deleted)


def _since(days: int | None, at: datetime) -> datetime | None:
    return at - timedelta(days=days) if days is not None else None


def _datasets(session: Session, scope: TenantScope, before: datetime | None, days: int | None) -> int:
    if before is None:
        return 0
    needed = select(FineTuneJob.dataset_version_id).where(
        FineTuneJob.status.in_((JobStatus.QUEUED, *RUNNING_STATUSES))
    )
    versions = session.scalars(
        select(DatasetVersion)
        .where(
            DatasetVersion.status == DatasetStatus.READY,
            DatasetVersion.ready_at < before,
            DatasetVersion.id.not_in(needed),
        )
        .with_for_update(skip_locked=True)
    ).all()
    _delete(session, scope, (version.blob for version in versions))
    for version in versions:
        version.status, version.blob = DatasetStatus.DISCARDED, None
        version.report = None  # which shows examples
        version.error = f"Your retention keeps datasets for {days} days, so it was deleted."
    return len(versions)


def _files(session: Session, scope: TenantScope, before: datetime | None, at: datetime) -> int:
    if before is None:
        return 0
    batches = select(Batch.input_file_id).where(Batch.status.in_(UNFINISHED))
    validating = FineTuneRequest.status == RequestStatus.VALIDATING
    training = select(FineTuneRequest.training_file_id).where(validating)
    validation = select(FineTuneRequest.validation_file_id).where(
        validating, FineTuneRequest.validation_file_id.is_not(None)
    )
    files = session.scalars(
        select(ApiFile)
        .where(
            ApiFile.deleted_at.is_(None),
            ApiFile.created_at < before,
            ApiFile.id.not_in(batches),
            ApiFile.id.not_in(training),
            ApiFile.id.not_in(validation),
        )
        .with_for_update(skip_locked=True)
    ).all()
    _delete(session, scope, (file.blob for file in files))
    for file in files:
        file.deleted_at = at
    return len(files)


def _checkpoints(session: Session, scope: TenantScope, before: datetime | None) -> int:
    if before is None:
        return 0
    jobs = session.scalars(
        select(FineTuneJob)
        .where(
            FineTuneJob.status == JobStatus.CANCELLED,
            FineTuneJob.checkpoint_blob.is_not(None),
            FineTuneJob.finished_at < before,
        )
        .with_for_update(skip_locked=True)
    ).all()
    _delete(session, scope, (job.checkpoint_blob for job in jobs))
    for job in jobs:
        job.checkpoint_blob = None
    return len(jobs)


def _delete(session: Session, scope: TenantScope, blobs: Iterable[str | None]) -> None:
    names = [name for name in blobs if name is not None]
    if names:
        key = tenant_key(session, scope.tenant_id)
        for name in names:
            blob_store().delete(key, name)
