"""A worker as a process: it gives its job up when that is cancelled, when it is told to end, and when it is killed."""

import pytest

from core.models.fine_tune_jobs import JobStatus
from core.queues import Queue, enqueue, rq_queue
from core.waiting import wait_until
from tests.stack.processes import is_alive
from tests.training.jobs.conftest import horse_of, let_lease_run_out, reconcile
from training.doorbell import RUN_NEXT_JOB

PATIENCE = 60


@pytest.fixture
def ring(tmp_path):
    """`ring()`: have a worker run the next job with a recipe that lasts until `finish` is there."""

    def ring():
        rq_queue(Queue.FINE_TUNE).empty()
        enqueue(Queue.FINE_TUNE, "tests.training.jobs.entries.run_next_until_told", str(finish), timeout=600)

    finish = tmp_path / "finish"
    return ring


def has(workshop, job_id, status: JobStatus):
    return lambda: workshop.job(job_id).status is status


def has_checkpoint(workshop, job_id):
    return lambda: workshop.job(job_id).checkpoint_blob is not None


def test_cancelling_frees_the_worker_within_five_seconds(workshop, start_worker, ring):
    job_id, next_id = workshop.launch(), workshop.launch()
    ring()
    start_worker()
    assert wait_until(has_checkpoint(workshop, job_id), PATIENCE)
    ring()
    workshop.cancel(job_id)
    assert wait_until(has(workshop, job_id, JobStatus.CANCELLED), 5)
    assert workshop.blobs() == [workshop.job(job_id).checkpoint_blob]
    assert wait_until(has_checkpoint(workshop, next_id), PATIENCE)


def test_a_worker_that_is_told_to_end_leaves_its_job_to_the_next(workshop, start_worker, ring, tmp_path):
    job_id = workshop.launch()
    ring()
    worker = start_worker()
    assert wait_until(has_checkpoint(workshop, job_id), PATIENCE)
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    job = workshop.job(job_id)
    assert (job.status, job.lease_token, job.lost_attempts) == (JobStatus.QUEUED, None, 0)
    assert [job.func_name for job in rq_queue(Queue.FINE_TUNE).jobs] == [RUN_NEXT_JOB]

    ring()
    start_worker()
    (tmp_path / "finish").touch()
    assert wait_until(has(workshop, job_id, JobStatus.SUCCEEDED), PATIENCE)
    assert workshop.job(job_id).attempt == 2
    assert len(workshop.adapters()) == len(workshop.facts()) == 1


def test_a_worker_that_is_killed_takes_the_jobs_process_with_it_and_the_next_goes_on(
    workshop, start_worker, ring, tmp_path
):
    job_id = workshop.launch()
    ring()
    worker = start_worker()
    assert wait_until(has_checkpoint(workshop, job_id), PATIENCE)
    horse = horse_of(worker)
    worker.kill()
    assert wait_until(lambda: not is_alive(horse), PATIENCE)
    assert workshop.job(job_id).status is JobStatus.TRAINING
    let_lease_run_out(job_id)
    reconcile()
    ring()
    start_worker()
    (tmp_path / "finish").touch()
    assert wait_until(has(workshop, job_id, JobStatus.SUCCEEDED), PATIENCE)
    assert workshop.job(job_id).attempt == 2
    assert len(workshop.adapters()) == len(workshop.facts()) == 1
