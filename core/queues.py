"""Queues: RQ carries ids, rows in Postgres are the truth.

An entry in a queue is only a doorbell. A worker that hears it looks in the database for what is to be done, so
an entry that is lost, doubled or late changes nothing; the clock rings again for rows that nobody works on.
"""

from enum import StrEnum
from functools import cache

from redis import Redis
from rq import Queue as RqQueue
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session

from core.config import get_settings
from core.db import after_commit


class Queue(StrEnum):
    """The queues, each served by its own workers: a long fine-tune does not hold up a dataset's check."""

    FINE_TUNE = "fine-tune"
    DATASETS = "datasets"
    BATCHES = "batches"
    BILLING = "billing"


@cache
def redis() -> Redis:
    """This process's Redis client (thread-safe; answers bytes, as RQ needs)."""
    return Redis.from_url(get_settings().redis_url, health_check_interval=30)


def rq_queue(queue: Queue) -> RqQueue:
    return RqQueue(queue, connection=redis(), serializer=JSONSerializer)


def enqueue(queue: Queue, function: str, *ids: str, timeout: int) -> None:
    """Ring: have a worker of `queue` call `function` (its dotted path) with `ids`, for at most `timeout` seconds."""
    rq_queue(queue).enqueue(function, args=ids, job_timeout=timeout, result_ttl=0, failure_ttl=24 * 3600)


def drop_entries(part: str) -> int:
    """Delete the entries that wait, or have failed, whose ids include `part`; says how many there were."""
    dropped = 0
    for queue in map(rq_queue, Queue):
        for job_id in {*queue.get_job_ids(), *queue.failed_job_registry.get_job_ids(cleanup=False)}:
            job = queue.fetch_job(job_id)
            if job is not None and part in job.args:
                job.delete()
                dropped += 1
    return dropped


def enqueue_after_commit(session: Session, queue: Queue, function: str, *ids: str, timeout: int) -> None:
    """Ring once `session`'s transaction has committed, so that the worker finds the row it was told of."""
    after_commit(session, lambda: enqueue(queue, function, *ids, timeout=timeout))
