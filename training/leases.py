"""A worker's hold on a job: a token that every write of it must still find in the row.

RQ may start a second process for a job whose first one still runs. Whichever of them has the token in the row is
the job's worker; the other's next write raises LeaseLost and changes nothing. A lease that is not extended for
LEASE ends: then the scheduler gives the job to another.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.models.fine_tune_jobs import FineTuneJob
from core.tenancy import TenantScope

LEASE = timedelta(seconds=30)
"""A worker that is not heard of for so long is taken for dead."""

LONGEST_RUN = timedelta(hours=24)
"""A job that has not ended so long after it started first is given up."""

NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
"""The columns of a job that nobody works on."""


class LeaseLost(Exception):
    """The job is not this worker's any more: another has it, or it has been given up."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to one job, which reads the dataset version `version_id`. `attempt` counts from 1."""

    scope: TenantScope
    job_id: UUID
    version_id: UUID
    attempt: int
    token: UUID

    def write(self, session: Session, **values: Any) -> bool:
        """Extend the lease and write `values` to the job, in the caller's transaction, which commits.

        `values` may end the lease (NO_LEASE). Returns whether somebody has asked for the job to be cancelled.
        Raises LeaseLost; the caller then rolls back whatever else it was about to write.
        """
        row = session.execute(
            update(FineTuneJob)
            .where(FineTuneJob.id == self.job_id, FineTuneJob.lease_token == self.token)
            .values({**extended(), **values})
            .returning(FineTuneJob.cancel_requested_at)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if row is None:
            raise LeaseLost(str(self.job_id))
        return row.cancel_requested_at is not None

    def hold(self, session: Session) -> FineTuneJob:
        """The job, its row locked until the caller's transaction ends. Raises LeaseLost."""
        job = session.scalars(
            select(FineTuneJob)
            .where(FineTuneJob.id == self.job_id, FineTuneJob.lease_token == self.token)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one_or_none()
        if job is None:
            raise LeaseLost(str(self.job_id))
        return job


def extended() -> dict[str, Any]:
    """The columns of a job whose worker has just been heard of.

    By the database's clock, which is the same for all workers and for whoever looks for leases that have ended.
    """
    at = func.clock_timestamp()
    return {"heartbeat_at": at, "lease_expires_at": at + LEASE}
