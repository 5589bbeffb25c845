"""The process that a worker forks for a job."""

from pathlib import Path

from rq.serializers import JSONSerializer
from sqlalchemy import text

from core.db import operator_engine, operator_session
from core.queues import Queue, enqueue, redis, rq_queue
from training.worker import PromptWorker


def backend_pid() -> int:
    """The process id of the server that this process's session talks to."""
    with operator_session("test") as session:
        pid: int = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        return pid


def write_backend_pid(file: str) -> None:
    """A job: write its own."""
    Path(file).write_text(str(backend_pid()))


def test_a_job_speaks_to_the_database_on_a_connection_of_its_own(services, tmp_path):
    operator_engine().dispose()  # of what earlier tests left: this process then has one connection
    ours = backend_pid()
    file = tmp_path / "pid"
    enqueue(Queue.DATASETS, "tests.training.test_worker.write_backend_pid", str(file), timeout=60)
    worker = PromptWorker([rq_queue(Queue.DATASETS)], connection=redis(), serializer=JSONSerializer)
    worker.work(burst=True, logging_level="WARNING")
    assert int(file.read_text()) != ours
    assert backend_pid() == ours
