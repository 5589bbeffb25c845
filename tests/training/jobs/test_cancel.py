"""Cancelling: at once while it waits, at the next beat while it runs, never after it has ended."""

import pytest

from core.db import tenant_session
from core.models.fine_tune_jobs import JobStatus
from core.storage import blob_store, tenant_key
from tests.training.jobs.conftest import let_lease_run_out, reconcile, set_job
from tests.training.jobs.recipes import Recipe, at
from training import recorder, runner, scheduler
from training.artifacts import checkpoint_name
from training.errors import JobError


@pytest.fixture(autouse=True)
def beats_are_not_throttled(monkeypatch):
    monkeypatch.setattr(recorder, "_BEAT_SECONDS", 0.0)


def test_a_job_that_waits_is_cancelled_at_once(workshop):
    job_id = workshop.launch()
    workshop.cancel(job_id)
    job = workshop.job(job_id)
    assert job.status is JobStatus.CANCELLED
    assert job.finished_at is not None
    assert scheduler.claim_next() is None
    assert workshop.actions()[-1] == "fine_tune.cancelled"
    assert workshop.lines(job_id) == ["Queued.", "Cancelled."]


def test_a_job_that_waits_to_go_on_keeps_its_last_checkpoint_and_nothing_else(workshop):
    job_id = workshop.launch()
    told: list[bool] = []
    runner.run(workshop.claim(), Recipe(at_step=at(2, lambda: told.append(True))), lambda: bool(told))
    with tenant_session(workshop.scope) as session:
        key = tenant_key(session, workshop.scope.tenant_id)
    blob_store().put(key, checkpoint_name(job_id, 1, "b"), b"written just before the kill")
    workshop.cancel(job_id)
    assert workshop.blobs() == [workshop.job(job_id).checkpoint_blob]


def test_a_running_job_stops_keeps_its_last_checkpoint_and_costs_nothing(workshop):
    job_id = workshop.launch()
    recipe = Recipe(at_step=at(2, lambda: workshop.cancel(job_id)))
    workshop.run(recipe)
    job = workshop.job(job_id)
    assert (job.status, job.lease_token) == (JobStatus.CANCELLED, None)
    assert workshop.blobs() == [job.checkpoint_blob]
    assert workshop.adapters() == workshop.facts() == []
    assert workshop.lines(job_id)[-2:] == ["Cancelling.", "Cancelled."]


def test_a_job_that_finishes_after_somebody_cancelled_it_is_cancelled(workshop):
    job_id = workshop.launch()

    class Deaf(Recipe):
        def __call__(self, *arguments, **options):
            result = super().__call__(*arguments, **options)
            workshop.cancel(job_id)
            return result

    workshop.run(Deaf())
    job = workshop.job(job_id)
    assert job.status is JobStatus.CANCELLED
    assert workshop.adapters() == workshop.facts() == []
    assert workshop.blobs() == [job.checkpoint_blob]


def test_cancelling_twice_is_cancelling_once(workshop):
    job_id = workshop.launch()
    workshop.claim()
    workshop.cancel(job_id)
    first = workshop.job(job_id).cancel_requested_at
    workshop.cancel(job_id)
    assert workshop.job(job_id).cancel_requested_at == first
    assert workshop.actions().count("fine_tune.cancelled") == 1


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (JobStatus.SUCCEEDED, "finished"),
        (JobStatus.FAILED, "failed"),
        (JobStatus.CANCELLED, "been cancelled"),
    ],
)
def test_what_has_ended_cannot_be_cancelled(workshop, status, word):
    job_id = workshop.launch()
    set_job(job_id, status=status)
    with pytest.raises(JobError, match=f"has {word} already"):
        workshop.cancel(job_id)


def test_a_job_whose_worker_died_before_it_heard_is_cancelled_by_the_clock(workshop):
    job_id = workshop.launch()
    workshop.claim()
    workshop.cancel(job_id)
    let_lease_run_out(job_id)
    reconcile()
    assert workshop.job(job_id).status is JobStatus.CANCELLED


def test_a_job_that_is_to_be_cancelled_is_not_handed_over(workshop, monkeypatch):
    monkeypatch.setattr(recorder, "_BEAT_SECONDS", 3600.0)
    job_id = workshop.launch()
    recipe = Recipe(at_step=at(2, lambda: workshop.cancel(job_id)))
    lease = workshop.claim()
    runner.run(lease, recipe, lambda: workshop.job(job_id).cancel_requested_at is not None)
    assert workshop.job(job_id).status is JobStatus.CANCELLED
