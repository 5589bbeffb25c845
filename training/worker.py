"""`python -m training.worker QUEUE`: an RQ worker of one queue.

Neither this process nor the work-horse that it forks for each job imports torch: that is for the process that the
work-horse starts, which has no credentials (training/confined). A job's memory, and a GPU, are free again when it ends.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any

import structlog
from rq import Queue as RqQueue
from rq import Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from core.config import ConfigError
from core.db import dispose_engines
from core.lifetime import end_with_parent
from core.log import configure_logging
from core.queues import Queue, redis, rq_queue
from core.waiting import wait_until
from training.confined.fences import hide_memory

# Short, so that what a killed worker leaves behind in Redis is soon tidied up. The rows in Postgres and their
# heartbeats decide about the work itself.
_WORKER_SECONDS = 45
_MAINTENANCE_SECONDS = 60
_MONITORING_SECONDS = 5

_HORSE_GRACE_SECONDS = 5

_SEE_THE_LOG = "The worker's log says more."

_PID = os.getpid()

log = structlog.get_logger(__name__)


class PromptWorker(Worker):
    """A worker that ends at once when it is told to, and whose work-horse never outlives it.

    RQ's own would wait for its job, which may take hours; ours go on where their last checkpoint was.
    """

    def main_work_horse(self, job: Job, queue: RqQueue) -> None:
        end_with_parent(_PID)
        # A connection that both processes spoke on would give each the other's answers.
        dispose_engines()
        super().main_work_horse(job, queue)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End now; the job's process gets SIGTERM and a few seconds to put its things away."""
        signal.setitimer(signal.ITIMER_REAL, 0)  # RQ's, which would interrupt the waiting
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)
            if not wait_until(self._horse_has_ended, _HORSE_GRACE_SECONDS):
                self.kill_horse(signal.SIGKILL)
        raise SystemExit(0)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log what a job failed with, in place of RQ, which would log its words."""
        log.error("job_failed", entry=job.id, function=job.func_name, exc_info=exc_info)

    def handle_job_failure(
        self,
        job: Job,
        queue: RqQueue,
        started_job_registry: Any = None,
        exc_string: str = "",
        execution: Any = None,
    ) -> None:
        """Let RQ note in Redis that a job failed, but not in what words, which may quote a text."""
        super().handle_job_failure(job, queue, started_job_registry, _SEE_THE_LOG, execution)

    def _horse_has_ended(self) -> bool:
        try:
            return os.waitpid(self.horse_pid, os.WNOHANG) != (0, 0)
        except ChildProcessError:
            return True


def work(queue: Queue) -> None:
    """Work on `queue` until SIGTERM or SIGINT."""
    PromptWorker(
        [rq_queue(queue)],
        connection=redis(),
        serializer=JSONSerializer,
        worker_ttl=_WORKER_SECONDS,
        maintenance_interval=_MAINTENANCE_SECONDS,
        job_monitoring_interval=_MONITORING_SECONDS,
        log_job_description=False,
    ).work(logging_level="WARNING")


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in list(Queue):
        sys.exit(f"Usage: python -m training.worker {'|'.join(Queue)}")
    # torch's threads otherwise wait for one another in a loop: with another program on the same cores, two of them
    # took five times as long as one. Read where torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    hide_memory()
    try:
        configure_logging("worker")
    except ConfigError as error:
        sys.exit(str(error))
    work(Queue(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
