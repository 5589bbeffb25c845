"""What RQ calls: one job or one estimate each, and no process is started where there is nothing to do."""

import pytest

from core.models.fine_tune_jobs import JobStatus
from core.queues import Queue, rq_queue
from tests.training.confined.stand_in import REFUSE
from tests.training.jobs.test_estimates import SETTINGS, find, request
from training import tasks
from training.confined import process


def test_a_ring_runs_one_job(workshop, monkeypatch):
    monkeypatch.setattr(process, "_CHILD", "tests.training.confined.stand_in")
    first, second = workshop.launch(seed=REFUSE), workshop.launch(seed=REFUSE)
    tasks.run_next_job()
    assert workshop.job(first).status is JobStatus.FAILED
    assert workshop.job(second).status is JobStatus.QUEUED


def test_a_ring_for_nothing_starts_no_process(workshop, monkeypatch):
    monkeypatch.setattr(process, "started", lambda: pytest.fail("A process was started."))
    tasks.run_next_job()
    tasks.measure_estimate(str(workshop.scope.tenant_id), str(workshop.version.id), "{}")


def test_a_ring_for_an_estimate_measures_it(workshop):
    request(workshop, SETTINGS)
    [ring] = rq_queue(Queue.DATASETS).jobs
    tasks.measure_estimate(*ring.args)
    found = find(workshop, SETTINGS)
    assert found is not None
    assert found.error is None
    assert found.seconds > 0
    assert found.training_tokens > 0
