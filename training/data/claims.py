"""A job's hold on a dataset version, by which two jobs on the same one cannot both have their way.

The version's heartbeat is the token: whoever holds it writes the next one only where the last is still their own.
A job that was thought dead and comes back finds another's there, and stops.
"""

import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, or_, update
from sqlalchemy.orm import Session

from core.clock import now
from core.db import tenant_session
from core.models.datasets import DatasetStatus, DatasetVersion
from core.tenancy import TenantScope

STALE = timedelta(seconds=120)
"""A job that has not been heard of for so long is taken for dead."""

_BEAT_SECONDS = 2.0


class ClaimLost(Exception):
    """The version is not this job's any more: it was discarded, or another job has taken it over."""


class Claim:
    """The right to work on one version while its status is `status`."""

    def __init__(self, scope: TenantScope, version: DatasetVersion, at: datetime) -> None:
        self.scope = scope
        self.version = version
        self._status = version.status
        self._token = at
        self._beaten = time.monotonic()

    @classmethod
    def take(cls, scope: TenantScope, version_id: UUID, status: DatasetStatus) -> "Claim | None":
        """Claim the version; None where there is nothing to do or another job is at it."""
        at = now()
        with tenant_session(scope) as session:
            taken = session.execute(
                update(DatasetVersion)
                .where(
                    DatasetVersion.id == version_id,
                    DatasetVersion.status == status,
                    or_(DatasetVersion.heartbeat_at.is_(None), DatasetVersion.heartbeat_at < at - STALE),
                )
                .values(heartbeat_at=at)
                .returning(DatasetVersion.id)
            ).one_or_none()
            if taken is None:
                return None
            version = session.get_one(DatasetVersion, version_id)
            session.commit()
        return cls(scope, version, at)

    def beat(self, progress: float) -> None:
        """Show that the job lives and how far it is (0 to 1), every few seconds. Raises ClaimLost."""
        if time.monotonic() - self._beaten >= _BEAT_SECONDS:
            with tenant_session(self.scope) as session:
                self.write(session, progress=min(1.0, progress))
                session.commit()

    def write(self, session: Session, **values: Any) -> None:
        """Write `values` to the version, in the caller's transaction. Raises ClaimLost."""
        at = now()
        result = session.execute(
            update(DatasetVersion)
            .where(
                DatasetVersion.id == self.version.id,
                DatasetVersion.status == self._status,
                DatasetVersion.heartbeat_at == self._token,
            )
            .values(heartbeat_at=at, **values)
        )
        assert isinstance(result, CursorResult)
        if result.rowcount != 1:
            raise ClaimLost(str(self.version.id))
        self._token = at
        self._beaten = time.monotonic()
