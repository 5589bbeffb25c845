"""Writes down what a fine-tune tells while it runs, and tells it when to stop."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from billing.reservations import BudgetReached, Work, reserve
from core.db import tenant_session
from core.models.fine_tune_jobs import JobMetric, JobStatus
from core.models.usage import UsageKind
from core.storage import TenantKey, blob_store
from training.artifacts import SLOTS, checkpoint_name
from training.job_log import note
from training.leases import LEASE, Lease, LeaseLost
from training.recipe.errors import RecipeError

log = structlog.get_logger(__name__)

_BEAT_SECONDS = 1.0
_LONGEST_PHASE_MESSAGE = 200


class Cancelled(Exception):
    """Somebody has asked for the job to be cancelled."""


class ToldToEnd(Exception):
    """This worker is to end, and its job to be another's."""


class Recorder:
    """The recipe's Monitor, which keeps a leased job's row, curves, log and checkpoint.

    Every write is a transaction that extends the lease, or raises LeaseLost. `beat` and `phase` raise Cancelled
    and ToldToEnd.
    """

    def __init__(
        self, lease: Lease, key: TenantKey, checkpoint: str | None, is_told_to_end: Callable[[], bool]
    ) -> None:
        self._lease = lease
        self._key = key
        self._checkpoint = checkpoint
        self._is_told_to_end = is_told_to_end
        self._metrics: dict[tuple[str, int], tuple[float, float]] = {}
        self._checkpoints = 0
        self._written = time.monotonic()

    def phase(self, status: JobStatus, message: str) -> None:
        """Write what begins now, and a line of the log."""
        if not status.is_running:
            raise ValueError(f"A job that is {status} is in no phase.")
        self._stop_if_told(
            self._write(message, status=status, phase_message=message[:_LONGEST_PHASE_MESSAGE])
        )

    def will_read(self, training_tokens: int) -> None:
        """Reserve it in the tenant's budget. Raises RecipeError where there is no room."""
        try:
            reserve(self._lease.scope, Work(str(self._lease.job_id), {UsageKind.TRAINING: training_tokens}))
        except BudgetReached as reached:
            raise RecipeError(str(reached)) from None

    def beat(self, progress: float, eta_seconds: int | None) -> None:
        """Write the progress and the metrics since the last time, at most every second."""
        since = time.monotonic() - self._written
        if since < _BEAT_SECONDS:
            self._stop_if_told(False)
            return
        try:
            self._stop_if_told(self._write(progress=min(1.0, max(0.0, progress)), eta_seconds=eta_seconds))
        except OperationalError:
            # The database may be restarting. As long as the lease holds, nothing is lost by going on.
            if since > LEASE.total_seconds():
                raise
            log.warning("heartbeat_failed", job_id=str(self._lease.job_id))

    def metric(self, name: str, step: int, epoch: float, value: float) -> None:
        """Keep a point of a curve for the next write. One that is no number cannot be drawn and is left out."""
        if math.isfinite(value):
            self._metrics[name, step] = (epoch, value)

    def log(self, message: str) -> None:
        """Write a line of the log."""
        self._write(message)

    def save_checkpoint(self, data: bytes) -> None:
        """Store a checkpoint and have the row name it; the one before is deleted."""
        name = checkpoint_name(self._lease.job_id, self._lease.attempt, SLOTS[self._checkpoints % len(SLOTS)])
        blob_store().put(self._key, name, data)
        try:
            self._write(checkpoint_blob=name, lost_attempts=0)
        except LeaseLost:
            blob_store().delete(self._key, name)
            raise
        if self._checkpoint is not None:
            with suppress(OSError):  # the attempt's end deletes whatever is left
                blob_store().delete(self._key, self._checkpoint)
        self._checkpoint = name
        self._checkpoints += 1

    def flush(self) -> None:
        """Write the metrics since the last write: there will be no more beats."""
        self._write()

    def _stop_if_told(self, cancelled: bool) -> None:
        if cancelled:
            raise Cancelled
        if self._is_told_to_end():
            raise ToldToEnd

    def _write(self, message: str | None = None, **values: Any) -> bool:
        """Write a log line, the metrics kept and `values`; whether the job is to be cancelled."""
        lease = self._lease
        with tenant_session(lease.scope) as session:
            cancelled = lease.write(session, **values)
            self._write_metrics(session)
            if message is not None:
                note(session, lease.scope.tenant_id, lease.job_id, message)
            session.commit()
        self._metrics.clear()
        self._written = time.monotonic()
        return cancelled

    def _write_metrics(self, session: Session) -> None:
        if not self._metrics:
            return
        statement = insert(JobMetric).values(
            [
                {
                    "tenant_id": self._lease.scope.tenant_id,
                    "job_id": self._lease.job_id,
                    "name": name,
                    "step": step,
                    "epoch": epoch,
                    "value": value,
                }
                for (name, step), (epoch, value) in self._metrics.items()
            ]
        )
        # A resumed attempt goes over the steps since its checkpoint once more.
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "job_id", "name", "step"],
                set_={"epoch": statement.excluded.epoch, "value": statement.excluded.value},
            )
        )
