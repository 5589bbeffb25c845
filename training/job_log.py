"""A job's log, as its tenant reads it."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from core.models.fine_tune_jobs import JobLogLine

LONGEST_MESSAGE = 500


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def note(session: Session, tenant_id: UUID, job_id: UUID, message: str, level: Level = Level.INFO) -> None:
    """Add a line to the job's log, in `session`'s transaction. `message` holds no text of the tenant's."""
    session.add(
        JobLogLine(tenant_id=tenant_id, job_id=job_id, level=level.value, message=message[:LONGEST_MESSAGE])
    )
