"""The doorbell of the fine-tune queue: each ring has one worker ask the scheduler for one job."""

from datetime import timedelta

from rq import Worker
from sqlalchemy.orm import Session

from core.db import after_commit
from core.queues import Queue, enqueue, enqueue_after_commit, redis, rq_queue
from training.leases import LONGEST_RUN

RUN_NEXT_JOB = "training.tasks.run_next_job"

# RQ ends a job process at its timeout. The row's own limit comes before and says so to the tenant.
_TIMEOUT = int((LONGEST_RUN + timedelta(minutes=10)).total_seconds())

_SPARE_RINGS = 2


def ring_after_commit(session: Session) -> None:
    """Ring once, after `session`'s transaction, which leaves one more job waiting, has committed."""
    enqueue_after_commit(session, Queue.FINE_TUNE, RUN_NEXT_JOB, timeout=_TIMEOUT)


def ring_up_to_after_commit(session: Session, waiting: int) -> None:
    """After `session`'s commit, have at least as many rings in the queue as can be of use to `waiting` jobs."""
    after_commit(session, lambda: ring_up_to(waiting))


def ring_up_to(waiting: int) -> None:
    """Ring for `waiting` jobs, but for the rings that are in the queue, and not oftener than workers can hear.

    Every run ends with this, so that a few rings keep all workers busy however many jobs wait.
    """
    queue = rq_queue(Queue.FINE_TUNE)
    useful = Worker.count(connection=redis(), queue=queue) + _SPARE_RINGS
    for _ in range(min(waiting, useful) - queue.count):
        enqueue(Queue.FINE_TUNE, RUN_NEXT_JOB, timeout=_TIMEOUT)
