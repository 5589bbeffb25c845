"""The real thing, killed: the real recipe on real data in a real worker, whose processes die by kill -9."""

import os
import signal
import sys
from pathlib import Path

import pytest

from core.models.fine_tune_jobs import JobStatus
from core.waiting import wait_until
from stack.child import ROOT
from tests.datasets import ready_version
from tests.stack.processes import is_alive
from tests.training.jobs import inspection
from tests.training.jobs.conftest import Workshop, horse_of, let_lease_run_out, reconcile
from tests.training.jobs.inspection import descendants
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
    *between, trainer = descendants(horse)
    assert_holds_no_credentials(horse, trainer)
    for pid in (worker.pid, horse):
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(map(is_alive, (horse, *between, trainer))), PATIENCE)
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


def assert_holds_no_credentials(horse: int, trainer: int) -> None:
    """That the process that trains, while it does, has no secret in its environment, its files or its memory."""
    os.kill(trainer, signal.SIGSTOP)
    try:
        assert "libtorch" in inspection.mapped(trainer)
        assert "libtorch" not in inspection.mapped(horse)
        secrets = inspection.secrets()
        assert not any(secret in inspection.environment(trainer) for secret in secrets)
        opened = [file for file in inspection.open_files(trainer) if file != os.devnull]
        assert [file.partition(":")[0] for file in opened if not file.startswith(sys.prefix)] == ["socket"]
        assert inspection.connections(trainer) == []
        assert inspection.in_memory(horse, secrets) != [], "the search itself finds nothing"
        assert inspection.in_memory(trainer, secrets) == []
    finally:
        os.kill(trainer, signal.SIGCONT)
