"""The RQ worker as a process: it ends at once, and takes its work-horse with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rq import Worker

from core.queues import Queue, enqueue
from core.waiting import wait_until
from stack.child import ROOT, Child
from tests.stack.processes import is_alive


@pytest.fixture
def worker(services) -> Iterator[Child]:
    command = [sys.executable, "-m", "training.worker", Queue.DATASETS]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ) as worker:
        yield worker
        worker.kill()


def run(job: str, *arguments: Path) -> int:
    """Have the worker run `job`, and return the process id that it runs in."""
    enqueue(Queue.DATASETS, f"tests.stack.jobs.{job}", *map(str, arguments), timeout=600)
    assert wait_until(arguments[0].exists, 20)
    return int(arguments[0].read_text())


def test_it_ends_at_once_and_lets_its_job_tidy_up(worker, tmp_path):
    horse = run("wait_and_tidy_up", tmp_path / "pid", tmp_path / "tidied")
    worker.terminate()
    assert worker.wait(timeout=5) == 0
    assert (tmp_path / "tidied").exists()
    assert not is_alive(horse)


def test_its_job_ends_when_the_worker_is_killed(worker, tmp_path):
    horse = run("wait_forever", tmp_path / "pid")
    worker.kill()
    assert wait_until(lambda: not is_alive(horse), 10)


def test_an_idle_worker_ends_at_once(worker, redis):
    assert wait_until(lambda: [known.get_state() for known in Worker.all(redis)] == ["idle"], 20)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=5) == 0
    assert redis.scard("rq:workers") == 0


def test_torch_is_not_in_the_process_that_forks(worker, tmp_path):
    enqueue(Queue.DATASETS, "tests.stack.jobs.note_modules", str(tmp_path / "torch"), timeout=60)
    assert wait_until((tmp_path / "torch").exists, 20)
    assert (tmp_path / "torch").read_text() == "False"


def test_a_queue_that_there_is_not_is_refused():
    result = subprocess.run(
        [sys.executable, "-m", "training.worker", "nonsense"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "fine-tune|datasets" in result.stderr
