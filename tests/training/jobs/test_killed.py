"""The real thing, killed: the real recipe on real data in a real worker, whose processes die by kill -9."""

import os
import signal
from pathlib import Path

import pytest

from core.models.fine_tune_jobs import JobStatus
from core.waiting import wait_until
from stack.child import ROOT
from tests.datasets import ready_version
from tests.stack.processes import is_alive
from tests.training.jobs.conftest import Workshop, horse_of, let_lease_run_out, reconcile
from training.recipe.settings import FineTuneSettings

ROWS = 240
PATIENCE = 180


@pytest.fixture
def support(workshop) -> Workshop:
    """A tenant with support messages, imported as the product does."""
    rows = Path(ROOT, "examples", "support_messages.csv").read_bytes().splitlines(keepends=True)
    return Workshop(workshop.scope, ready_version(workshop.scope, b"".join(rows[: ROWS + 1])))


def test_a_fine_tune_whose_worker_is_killed_is_finished_by_another_from_its_checkpoint(support, start_worker):
    job_id = support.launch(settings=FineTuneSettings(epochs=4), seed=7)
    worker = start_worker()
    assert wait_until(lambda: support.job(job_id).status is JobStatus.TRAINING, PATIENCE)
    before = support.job(job_id).checkpoint_blob
    assert wait_until(lambda: support.job(job_id).checkpoint_blob != before, PATIENCE)
    horse = horse_of(worker)
    for pid in (worker.pid, horse):
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(horse), PATIENCE)
    killed = support.job(job_id)
    assert killed.status is JobStatus.TRAINING, "it was killed too late to show anything"

    let_lease_run_out(job_id)
    reconcile()
    start_worker()
    assert wait_until(lambda: support.job(job_id).status.is_final, PATIENCE)

    job, lines = support.job(job_id), support.lines(job_id)
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.attempt == 2
    assert "Attempt 2: goes on from its last checkpoint." in lines
    assert any(line.startswith("Going on after step") for line in lines)
    [adapter] = support.adapters()
    assert adapter.lineage["attempt"] == 2
    assert support.blobs() == [adapter.blob]
    [fact] = support.facts()
    assert fact.quantity == job.training_tokens
    losses = [step for name, step in support.metrics(job_id) if name == "train_loss"]
    assert len(losses) == len(set(losses))
