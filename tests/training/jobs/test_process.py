"""Jobs whose training is a process of its own: what becomes of them when that one refuses, dies, hangs or lies."""

import os
from pathlib import Path

import pytest

from core.db import tenant_session
from core.models.fine_tune_jobs import JobStatus
from core.storage import blob_store, tenant_key
from tests.stack.processes import is_alive
from tests.training.confined.stand_in import BE_HOSTILE, BE_SILENT, DIE, GO_ON, REFUSE
from training import recorder, runner
from training.confined import process
from training.confined.errors import ChildLost


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(process, "_CHILD", "tests.training.confined.stand_in")
    monkeypatch.setattr(recorder, "_BEAT_SECONDS", 0.0)


def work(workshop, is_told_to_end=lambda: False):
    """What training.tasks.run_next_job does, and which process trained."""
    lease = workshop.claim()
    with process.started() as child:
        runner.run(lease, child.fine_tune(lease), is_told_to_end)


def trainer_of(workshop, job_id) -> int:
    """The process that saved the job's checkpoint."""
    with tenant_session(workshop.scope) as session:
        key = tenant_key(session, workshop.scope.tenant_id)
    checkpoint = blob_store().get(key, workshop.job(job_id).checkpoint_blob)
    return int(checkpoint.removeprefix(b"of process "))


def test_what_the_recipe_refuses_there_is_said_in_its_own_words(workshop):
    job_id = workshop.launch(seed=REFUSE)
    work(workshop)
    assert (workshop.job(job_id).status, workshop.job(job_id).error) == (JobStatus.FAILED, "Add rows.")


def test_a_job_whose_process_dies_waits_for_another_at_once(workshop):
    job_id = workshop.launch(seed=DIE)
    work(workshop)
    job = workshop.job(job_id)
    assert (job.status, job.lease_token, job.lost_attempts) == (JobStatus.QUEUED, None, 1)
    assert "Its worker was cut off" in workshop.lines(job_id)[-1]


def test_a_job_whose_process_hangs_waits_for_another_and_the_process_is_killed(workshop, monkeypatch):
    monkeypatch.setattr(process, "LIFETIME_SECONDS", 0.2)
    job_id = workshop.launch(seed=BE_SILENT)
    work(workshop)
    assert workshop.job(job_id).status is JobStatus.QUEUED
    assert not is_alive(trainer_of(workshop, job_id))


def test_a_job_whose_process_says_what_it_may_not_fails_and_nothing_of_it_is_shown_or_logged(
    workshop, logged
):
    job_id = workshop.launch(seed=BE_HOSTILE)
    work(workshop)
    job = workshop.job(job_id)
    assert job.status is JobStatus.FAILED
    assert str(job.error).startswith("Something went wrong on our side")
    assert "wrong_status" in logged.getvalue()
    assert "SECRET" not in repr(workshop.lines(job_id)) + str(job.error) + logged.getvalue()
    assert workshop.adapters() == workshop.facts() == workshop.blobs() == []


def test_a_job_that_is_cancelled_ends_with_its_process(workshop, monkeypatch):
    job_id = workshop.launch(seed=GO_ON)
    save = recorder.Recorder.save_checkpoint

    def save_and_cancel(self, data):
        save(self, data)
        workshop.cancel(job_id)

    monkeypatch.setattr(recorder.Recorder, "save_checkpoint", save_and_cancel)
    work(workshop)
    assert workshop.job(job_id).status is JobStatus.CANCELLED
    assert not is_alive(trainer_of(workshop, job_id))


def test_a_worker_that_is_to_end_hands_its_job_over_and_ends_the_process(workshop):
    job_id = workshop.launch(seed=GO_ON)
    work(workshop, is_told_to_end=lambda: workshop.job(job_id).checkpoint_blob is not None)
    job = workshop.job(job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 0)
    assert not is_alive(trainer_of(workshop, job_id))


def test_a_process_that_does_not_start_is_said_to_be_lost(monkeypatch):
    monkeypatch.setattr(process, "_CHILD", "tests.training.confined")
    with pytest.raises(ChildLost), process.started():
        pass


def test_nothing_that_could_be_a_secret_is_told(monkeypatch):
    told = process.clean_environment(
        {**os.environ, "MASTER_KEY": "k", "AWS_SECRET_ACCESS_KEY": "k", "OMP_NUM_THREADS": "2"},
        Path("/private"),
    )
    assert told["OMP_NUM_THREADS"] == "2"
    own = {"HOME", "TMPDIR", "HF_HUB_OFFLINE", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE"}
    harmless = process._NAMES | own
    assert {name for name in told if name not in harmless and not name.startswith(process._PREFIXES)} == set()
    assert not {"DATABASE_URL", "REDIS_URL", "MASTER_KEY", "AWS_SECRET_ACCESS_KEY"} & told.keys()
