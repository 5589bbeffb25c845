"""RQ's workers, in this process: they do what waits, and return."""

from rq import SimpleWorker
from rq.serializers import JSONSerializer

from core.queues import Queue, redis, rq_queue


def work_off(queue: Queue) -> None:
    """Do everything that is in `queue`."""
    worker = SimpleWorker([rq_queue(queue)], connection=redis(), serializer=JSONSerializer)
    worker.work(burst=True, logging_level="ERROR")
