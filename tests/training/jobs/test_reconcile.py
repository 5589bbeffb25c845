"""What the clock does for jobs: takes them from dead workers, gives up what kills its workers, rings."""

from datetime import timedelta

import pytest

from core.clock import now
from core.models.fine_tune_jobs import JobStatus
from core.queues import Queue, rq_queue
from tests.training.jobs.conftest import let_lease_run_out, reconcile, set_job
from tests.training.jobs.recipes import Killed, Recipe, at, fail_with
from training import runner
from training.endings import MOST_LOST_ATTEMPTS
from training.leases import LONGEST_RUN


@pytest.fixture
def rings():
    """How many rings are in the queue."""
    return lambda: rq_queue(Queue.FINE_TUNE).count


def be_killed(workshop, step):
    """Run the next job up to `step`, be killed, and have the clock notice."""
    lease = workshop.claim()
    with pytest.raises(Killed):
        runner.run(lease, Recipe(at_step=at(step, fail_with(Killed()))), lambda: False)
    let_lease_run_out(lease.job_id)
    reconcile()


def test_a_job_whose_lease_holds_is_left_alone(workshop):
    job_id = workshop.launch()
    workshop.claim()
    reconcile()
    assert workshop.job(job_id).status is JobStatus.PREPARING


def test_a_job_whose_lease_ran_out_waits_again_and_is_rung_for(workshop, rings):
    job_id = workshop.launch()
    workshop.claim()
    rq_queue(Queue.FINE_TUNE).empty()
    let_lease_run_out(job_id)
    reconcile()
    job = workshop.job(job_id)
    assert (job.status, job.lease_token, job.lost_attempts) == (JobStatus.QUEUED, None, 1)
    assert workshop.lines(job_id)[-1] == "Its worker was cut off; another goes on from the beginning."
    assert rings() == 1


def test_a_job_that_kills_its_workers_is_given_up(workshop):
    job_id = workshop.launch()
    for _ in range(MOST_LOST_ATTEMPTS):
        assert workshop.job(job_id).status is JobStatus.QUEUED
        be_killed(workshop, step=1)
    job = workshop.job(job_id)
    assert (job.status, job.lease_token) == (JobStatus.FAILED, None)
    assert "cut off 3 times without getting further" in str(job.error)
    assert workshop.facts() == []


def test_a_job_that_gets_further_each_time_is_not_given_up(workshop):
    job_id = workshop.launch()
    for attempt in range(1, MOST_LOST_ATTEMPTS + 3):
        lease = workshop.claim()
        recipe = Recipe(steps=9, at_step=at(attempt + 1, fail_with(Killed())))
        with pytest.raises(Killed):
            runner.run(lease, recipe, lambda: False)
        let_lease_run_out(job_id)
        reconcile()
    assert workshop.job(job_id).status is JobStatus.QUEUED


def test_a_job_that_is_given_up_leaves_no_checkpoint(workshop):
    job_id = workshop.launch()
    be_killed(workshop, step=2)
    assert workshop.blobs() == [workshop.job(job_id).checkpoint_blob]
    for _ in range(MOST_LOST_ATTEMPTS - 1):
        be_killed(workshop, step=2)
    assert workshop.job(job_id).status is JobStatus.FAILED
    assert workshop.blobs() == []


def test_a_job_that_does_not_end_is_given_up_and_its_worker_loses_it(workshop):
    job_id = workshop.launch()

    def let_a_day_pass():
        set_job(job_id, started_at=now() - LONGEST_RUN - timedelta(minutes=1))
        reconcile()

    workshop.run(Recipe(at_step=at(2, let_a_day_pass)))
    job = workshop.job(job_id)
    assert job.status is JobStatus.FAILED
    assert "had not ended 24 hours after it started" in str(job.error)
    assert workshop.adapters() == workshop.facts() == workshop.blobs() == []


def test_a_doorbell_that_was_lost_is_rung_again(workshop, rings):
    workshop.launch()
    rq_queue(Queue.FINE_TUNE).empty()
    reconcile()
    assert rings() == 1


def test_a_job_that_was_rung_for_is_not_rung_for_again(workshop, rings):
    workshop.launch()
    reconcile()
    reconcile()
    assert rings() == 1


def test_a_crowd_of_jobs_is_not_a_crowd_of_rings(workshop, rings):
    for _ in range(20):
        workshop.launch()
    rq_queue(Queue.FINE_TUNE).empty()
    reconcile()
    assert 1 <= rings() <= 3


def test_the_end_of_a_job_rings_for_the_next(workshop, rings):
    first, second = workshop.launch(), workshop.launch()
    rq_queue(Queue.FINE_TUNE).empty()
    runner.run_next(lambda _lease: Recipe())
    assert workshop.job(first).status is JobStatus.SUCCEEDED
    assert rings() == 1
    rq_queue(Queue.FINE_TUNE).empty()
    runner.run_next(lambda _lease: Recipe())
    assert workshop.job(second).status is JobStatus.SUCCEEDED
    assert rings() == 0


def test_a_ring_for_nothing_does_nothing(workshop, rings):
    runner.run_next(lambda _lease: Recipe())
    assert rings() == 0


def test_jobs_are_taken_back_even_where_nobody_can_be_rung(workshop, monkeypatch):
    job_id = workshop.launch()
    workshop.claim()
    let_lease_run_out(job_id)
    monkeypatch.setattr("training.doorbell.rq_queue", fail_with(ConnectionError()))
    reconcile()
    assert workshop.job(job_id).status is JobStatus.QUEUED
