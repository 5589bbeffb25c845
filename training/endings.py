"""How an attempt at a job ends: by a success, a failure, a cancellation, or back in the queue.

Each ending is one transaction of its caller's, who holds the job's row locked and commits: a worker by its lease,
the scheduler for a worker that has died. Afterwards nobody holds the job.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing import ledger
from billing.ledger import Usage
from billing.reservations import release_in
from core.audit import record
from core.clock import now
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.models.models import Adapter, Model
from core.models.usage import UsageKind, UsageSource
from core.storage import Blob
from core.tenancy import TenantScope
from training.artifacts import delete_others_after_commit
from training.job_log import Level, note
from training.leases import NO_LEASE
from training.promotion import promote

MOST_LOST_ATTEMPTS = 3
"""A job whose attempts are cut off so often, with no checkpoint in between, is what kills its workers."""

_GIVEN_UP = (
    f"This fine-tune was cut off {MOST_LOST_ATTEMPTS} times without getting further, so it was given up. "
    "It may need more memory than there is: try again with fewer rows or a lower rank. "
    "If it happens again, tell support."
)


@dataclass(frozen=True, slots=True)
class Trained:
    """What an attempt has made: the adapter's stored file, and what is known of it.

    `training_tokens` and `texts` are what training read: tokens over all epochs, and different texts.
    """

    file: Blob
    base_digest: str
    labels: list[str]
    rank: int | None
    evaluation: dict[str, Any]
    promotable: bool
    training_tokens: int
    texts: int
    lineage: dict[str, Any]


def succeed(session: Session, scope: TenantScope, job: FineTuneJob, trained: Trained) -> None:
    """Make the model's next version, record what training used, and promote the first that may be.

    A job that was to be cancelled meanwhile is cancelled.
    """
    if job.cancel_requested_at is not None:
        cancel(session, scope, job)
        return
    # One job after the other: both would find the same number free.
    model = session.get_one(Model, job.model_id, with_for_update=True, populate_existing=True)
    adapter = _add_adapter(session, job, trained)
    ledger.record(
        session,
        job.tenant_id,
        Usage(
            request_id=str(job.id),
            kind=UsageKind.TRAINING,
            quantity=trained.training_tokens,
            inputs=trained.texts,
            source=UsageSource.JOB,
            model_id=model.id,
            adapter_id=adapter.id,
            job_id=job.id,
        ),
    )
    job.evaluation, job.training_tokens, job.progress = trained.evaluation, trained.training_tokens, 1.0
    _end(session, job, JobStatus.SUCCEEDED)
    note(session, job.tenant_id, job.id, f"Finished: this is version {adapter.version} of {model.name}.")
    record(session, scope, "fine_tune.succeeded", job, {"model": model.name, "version": adapter.version})
    if adapter.promotable and model.current_adapter_id is None:
        promote(session, scope, adapter)
        note(session, job.tenant_id, job.id, f"{model.name} answers calls with it from now on.")
    delete_others_after_commit(session, job, keep=adapter.blob)
    job.checkpoint_blob = None


def fail(session: Session, scope: TenantScope, job: FineTuneJob, message: str) -> None:
    """Give the job up; `message` says why, and is fit to show."""
    job.error = message
    _end(session, job, JobStatus.FAILED)
    note(session, job.tenant_id, job.id, message, Level.ERROR)
    record(session, scope, "fine_tune.failed", job)
    delete_others_after_commit(session, job, keep=None)
    job.checkpoint_blob = None


def cancel(session: Session, scope: TenantScope, job: FineTuneJob) -> None:  # noqa: ARG001 - an ending takes it
    """Stop, as somebody has asked; the last checkpoint stays."""
    _end(session, job, JobStatus.CANCELLED)
    note(session, job.tenant_id, job.id, "Cancelled.")
    delete_others_after_commit(session, job, keep=job.checkpoint_blob)


def hand_over(session: Session, scope: TenantScope, job: FineTuneJob) -> None:
    """Put the job back for another worker, since this one has been told to end."""
    if job.cancel_requested_at is not None:
        cancel(session, scope, job)
    else:
        _requeue(session, job, "Its worker is being replaced", Level.INFO)


def lose(session: Session, scope: TenantScope, job: FineTuneJob) -> None:
    """Put the job back after an attempt that was cut off; give it up where that happens again and again."""
    job.lost_attempts += 1
    if job.cancel_requested_at is not None:
        cancel(session, scope, job)
    elif job.lost_attempts >= MOST_LOST_ATTEMPTS:
        fail(session, scope, job, _GIVEN_UP)
    else:
        _requeue(session, job, "Its worker was cut off", Level.WARNING)


def _add_adapter(session: Session, job: FineTuneJob, trained: Trained) -> Adapter:
    latest = session.scalar(select(func.max(Adapter.version)).where(Adapter.model_id == job.model_id))
    adapter = Adapter(
        tenant_id=job.tenant_id,
        model_id=job.model_id,
        job_id=job.id,
        version=(latest or 0) + 1,
        digest=trained.file.digest,
        blob=trained.file.name,
        size_bytes=trained.file.size,
        base_model=job.base_model,
        base_digest=trained.base_digest,
        method=job.method,
        rank=trained.rank,
        labels=trained.labels,
        evaluation=trained.evaluation,
        lineage=trained.lineage,
        promotable=trained.promotable,
    )
    session.add(adapter)
    session.flush()
    return adapter


def _requeue(session: Session, job: FineTuneJob, reason: str, level: Level) -> None:
    """Back into the queue, with its age, so that it is the first of its tenant's."""
    where = "its last checkpoint" if job.checkpoint_blob else "the beginning"
    job.status, job.eta_seconds = JobStatus.QUEUED, None
    if job.checkpoint_blob is None:
        job.progress = 0.0
    job.phase_message = f"Waiting to go on from {where}"
    _set(job, NO_LEASE)
    note(session, job.tenant_id, job.id, f"{reason}; another goes on from {where}.", level)


def _end(session: Session, job: FineTuneJob, status: JobStatus) -> None:
    release_in(session, job.tenant_id, str(job.id))
    job.status, job.finished_at = status, now()
    job.phase_message = job.eta_seconds = None
    _set(job, NO_LEASE)


def _set(job: FineTuneJob, columns: dict[str, Any]) -> None:
    for column, value in columns.items():
        setattr(job, column, value)
