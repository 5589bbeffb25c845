"""Which job is next, and what becomes of jobs whose worker has died."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Select, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from core.clock import now
from core.db import operator_session
from core.models.fine_tune_jobs import RUNNING_STATUSES, FineTuneJob, JobStatus
from core.models.tenants import Tenant, TenantStatus
from core.tenancy import system_scope
from training import endings
from training.doorbell import ring_up_to, ring_up_to_after_commit
from training.job_log import note
from training.leases import LONGEST_RUN, Lease, extended

log = structlog.get_logger(__name__)

# Claims go one after the other: two at once would both count the other's tenant as it was before.
_CLAIMS = text("SELECT pg_advisory_xact_lock(hashtext('adaptary fine-tune claims'))")
_TOO_LONG = (
    f"This fine-tune had not ended {LONGEST_RUN.total_seconds() / 3600:.0f} hours after it started, so it was given up. "
    "Try again with fewer rows or fewer epochs."
)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tenant's oldest waiting job, beside what the tenant has had of the workers.

    `was_interrupted`: an earlier attempt at the job was cut off. `last_started_at`: when the tenant's latest job
    started, None where none has.
    """

    job_id: UUID
    tenant_id: UUID
    queued_at: datetime
    was_interrupted: bool
    running: int
    last_started_at: datetime | None


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """Whose job is next: the turn goes round the tenants, however many jobs each of them has.

    An interrupted job first, since it has had its turn already. Then the tenant with the fewest running jobs, the
    one whose last job started longest ago, the one whose job has waited longest.
    """
    return min(
        candidates,
        key=lambda it: (
            not it.was_interrupted,
            it.running,
            it.last_started_at or _NEVER,
            it.queued_at,
            it.job_id,
        ),
        default=None,
    )


def has_waiting() -> bool:
    """Whether any tenant's job waits for a worker."""
    with operator_session("see whether any tenant's fine-tune waits") as session:
        return _count_waiting(session) > 0


def claim_next() -> Lease | None:
    """Lease the next job to this process; None where none waits."""
    with operator_session("pick the next of all tenants' fine-tunes") as session:
        session.execute(_CLAIMS)
        while (chosen := choose(_candidates(session))) is not None:
            lease = _claim(session, chosen)
            if lease is not None:
                session.commit()
                return lease
        return None


def ring_for_waiting() -> None:
    """Have workers hear of the jobs that wait, where too few rings are under way."""
    with operator_session("count the fine-tunes that wait for workers") as session:
        ring_up_to(_count_waiting(session))


def reconcile(session: Session) -> None:
    """Take jobs back from workers that have died, and ring for those that wait. The caller commits.

    `session` is an operator session.
    """
    given_up = now() - LONGEST_RUN
    stuck = session.scalars(
        select(FineTuneJob)
        .where(
            FineTuneJob.status.in_(RUNNING_STATUSES),
            or_(
                FineTuneJob.lease_expires_at.is_(None),
                FineTuneJob.lease_expires_at < func.clock_timestamp(),
                FineTuneJob.started_at < given_up,
            ),
        )
        .with_for_update(skip_locked=True)
    )
    for job in stuck:
        scope = system_scope(job.tenant_id, "clock")
        log.warning("fine_tune_stuck", tenant_id=str(job.tenant_id), job_id=str(job.id), attempt=job.attempt)
        if job.started_at is not None and job.started_at < given_up:
            endings.fail(session, scope, job, _TOO_LONG)
        else:
            endings.lose(session, scope, job)
    ring_up_to_after_commit(session, _count_waiting(session))


def _count_waiting(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(_waiting().subquery())).one()


def _waiting() -> Select[UUID, UUID, datetime, int]:
    """The queued jobs of tenants that are being served."""
    return (
        select(FineTuneJob.id, FineTuneJob.tenant_id, FineTuneJob.queued_at, FineTuneJob.attempt)
        .join(Tenant, Tenant.id == FineTuneJob.tenant_id)
        .where(FineTuneJob.status == JobStatus.QUEUED, Tenant.status == TenantStatus.ACTIVE)
    )


def _candidates(session: Session) -> list[Candidate]:
    # Each tenant's first: one that was interrupted, or else the oldest.
    first = (
        _waiting()
        .ext(distinct_on(FineTuneJob.tenant_id))
        .order_by(FineTuneJob.tenant_id, FineTuneJob.attempt == 0, FineTuneJob.queued_at, FineTuneJob.id)
        .subquery()
    )
    own = aliased(FineTuneJob)
    of_tenant = select(func.count()).where(own.tenant_id == first.c.tenant_id)
    rows = session.execute(
        select(
            first,
            of_tenant.where(own.status.in_(RUNNING_STATUSES)).scalar_subquery(),
            select(func.max(own.started_at)).where(own.tenant_id == first.c.tenant_id).scalar_subquery(),
        )
    )
    return [
        Candidate(job_id, tenant_id, queued_at, attempt > 0, running, last_started_at)
        for job_id, tenant_id, queued_at, attempt, running, last_started_at in rows
    ]


def _claim(session: Session, chosen: Candidate) -> Lease | None:
    """Lease the job to this process; None where it has been cancelled at this moment."""
    token = uuid4()
    claimed = session.execute(
        update(FineTuneJob)
        .where(FineTuneJob.id == chosen.job_id, FineTuneJob.status == JobStatus.QUEUED)
        .values(
            status=JobStatus.PREPARING,
            phase_message="Starting",
            attempt=FineTuneJob.attempt + 1,
            lease_token=token,
            started_at=func.coalesce(FineTuneJob.started_at, now()),
            **extended(),
        )
        .returning(FineTuneJob.attempt, FineTuneJob.checkpoint_blob, FineTuneJob.dataset_version_id)
    ).one_or_none()
    if claimed is None:
        return None
    attempt, checkpoint, version_id = claimed
    message = "Started."
    if attempt > 1:
        message = (
            f"Attempt {attempt}: goes on from {'its last checkpoint' if checkpoint else 'the beginning'}."
        )
    note(session, chosen.tenant_id, chosen.job_id, message)
    return Lease(system_scope(chosen.tenant_id, "worker"), chosen.job_id, version_id, attempt, token)
