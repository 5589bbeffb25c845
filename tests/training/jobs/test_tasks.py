"""What RQ calls: one job or one estimate each, and nothing that needs torch where there is nothing to do."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from core.models.fine_tune_jobs import JobStatus
from core.queues import Queue, rq_queue
from tests.training.jobs.recipes import Recipe
from tests.training.jobs.test_estimates import SETTINGS, find, measure, request
from training import tasks


@pytest.fixture
def run_module(monkeypatch):
    """`run_module(module)`: what stands in for training.recipe.by_task; None makes its import fail."""

    def put(module: Any) -> None:
        monkeypatch.setitem(sys.modules, "training.recipe.by_task", module)

    return put


def test_a_ring_runs_one_job(workshop, run_module):
    run_module(SimpleNamespace(fine_tune=Recipe()))
    first, second = workshop.launch(), workshop.launch()
    tasks.run_next_job()
    assert workshop.job(first).status is JobStatus.SUCCEEDED
    assert workshop.job(second).status is JobStatus.QUEUED


def test_a_ring_for_nothing_loads_no_torch(workshop, run_module):
    run_module(None)
    tasks.run_next_job()
    tasks.measure_estimate(str(workshop.scope.tenant_id), str(workshop.version.id), "{}")


def test_a_ring_for_an_estimate_measures_it(workshop, run_module):
    run_module(SimpleNamespace(measure=measure))
    request(workshop, SETTINGS)
    [ring] = rq_queue(Queue.DATASETS).jobs
    tasks.measure_estimate(*ring.args)
    assert find(workshop, SETTINGS) is not None
