"""What a worker writes while it holds a job, and that it writes nothing once it does not."""

import pytest
from sqlalchemy.exc import OperationalError

from core.db import tenant_session
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.storage import blob_store, tenant_key
from tests.training.jobs.conftest import let_lease_run_out, reconcile
from tests.training.jobs.recipes import Killed, Recipe, at, fail_with
from training import recorder as recording
from training.leases import LeaseLost
from training.recorder import Cancelled, Recorder, ToldToEnd


@pytest.fixture(autouse=True)
def beats_are_not_throttled(monkeypatch):
    monkeypatch.setattr(recording, "_BEAT_SECONDS", 0.0)


def recorder_of(workshop, lease, told_to_end=False) -> Recorder:
    with tenant_session(workshop.scope) as session:
        key = tenant_key(session, workshop.scope.tenant_id)
    return Recorder(lease, key, None, lambda: told_to_end)


@pytest.fixture
def job_id(workshop):
    return workshop.launch()


@pytest.fixture
def recorder(workshop, job_id):
    return recorder_of(workshop, workshop.claim())


@pytest.fixture
def stale(workshop, recorder, job_id):
    """A recorder whose job has been given to another worker."""
    let_lease_run_out(job_id)
    reconcile()
    workshop.claim()
    return recorder


def test_a_phase_is_written_with_a_line_of_the_log(workshop, recorder, job_id):
    recorder.phase(JobStatus.TRAINING, "Training 3 epochs")
    job = workshop.job(job_id)
    assert (job.status, job.phase_message) == (JobStatus.TRAINING, "Training 3 epochs")
    assert workshop.lines(job_id)[-1] == "Training 3 epochs"


def test_a_job_in_work_is_in_no_final_phase(recorder):
    with pytest.raises(ValueError, match="in no phase"):
        recorder.phase(JobStatus.SUCCEEDED, "Done")


def test_a_beat_extends_the_lease(workshop, recorder, job_id):
    let_lease_run_out(job_id)
    before = workshop.job(job_id)
    recorder.beat(0.25, 90)
    job = workshop.job(job_id)
    assert (job.progress, job.eta_seconds) == (0.25, 90)
    assert job.heartbeat_at > before.heartbeat_at
    reconcile()
    assert workshop.job(job_id).status is JobStatus.PREPARING


def test_beats_in_quick_succession_are_one_write(workshop, recorder, job_id, monkeypatch):
    monkeypatch.setattr(recording, "_BEAT_SECONDS", 3600.0)
    recorder.beat(0.5, 1)
    assert workshop.job(job_id).progress == 0.0


def test_metrics_are_written_with_the_next_beat_and_a_repeated_step_replaces_the_first(
    workshop, recorder, job_id
):
    recorder.metric("train_loss", 1, 0.1, 2.0)
    recorder.metric("train_loss", 2, 0.2, 1.0)
    recorder.metric("validation_loss", 2, 0.2, float("nan"))
    recorder.beat(0.1, None)
    recorder.metric("train_loss", 2, 0.2, 0.9)
    recorder.beat(0.1, None)
    assert workshop.metrics(job_id) == {("train_loss", 1): 2.0, ("train_loss", 2): 0.9}


def test_a_checkpoint_takes_the_place_of_the_one_before(workshop, recorder, job_id):
    for data in (b"one", b"two", b"three"):
        recorder.save_checkpoint(data)
        name = workshop.job(job_id).checkpoint_blob
        assert workshop.blobs() == [name]
        with tenant_session(workshop.scope) as session:
            assert blob_store().get(tenant_key(session, workshop.scope.tenant_id), name) == data


@pytest.mark.parametrize(
    "write",
    [
        lambda recorder: recorder.beat(0.9, 1),
        lambda recorder: recorder.phase(JobStatus.EVALUATING, "Evaluating"),
        lambda recorder: recorder.log("Still here"),
        lambda recorder: recorder.save_checkpoint(b"late"),
        lambda recorder: (recorder.metric("train_loss", 1, 0.1, 1.0), recorder.beat(0.9, 1)),
    ],
    ids=["beat", "phase", "log", "checkpoint", "metric"],
)
def test_a_worker_that_lost_its_lease_can_write_nothing(workshop, stale, job_id, write):
    def everything():
        job = workshop.job(job_id)
        row = {column.name: getattr(job, column.name) for column in FineTuneJob.__table__.columns}
        return row, workshop.lines(job_id), workshop.metrics(job_id), workshop.blobs()

    before = everything()
    with pytest.raises(LeaseLost):
        write(stale)
    assert everything() == before


def test_two_attempts_never_write_to_the_same_blob(workshop, recorder, job_id):
    recorder.save_checkpoint(b"first")
    first = workshop.job(job_id).checkpoint_blob
    let_lease_run_out(job_id)
    reconcile()
    second = recorder_of(workshop, workshop.claim())
    second.save_checkpoint(b"second")
    assert workshop.job(job_id).checkpoint_blob != first


def test_who_wants_the_job_cancelled_is_heard_at_the_next_beat_but_a_checkpoint_is_kept(
    workshop, recorder, job_id
):
    workshop.cancel(job_id)
    recorder.save_checkpoint(b"kept")
    with pytest.raises(Cancelled):
        recorder.beat(0.5, None)
    assert workshop.job(job_id).checkpoint_blob is not None


def test_a_worker_that_is_to_end_stops_between_two_writes(workshop, job_id, monkeypatch):
    monkeypatch.setattr(recording, "_BEAT_SECONDS", 3600.0)
    recorder = recorder_of(workshop, workshop.claim(), told_to_end=True)
    with pytest.raises(ToldToEnd):
        recorder.beat(0.5, None)


def test_a_database_that_is_briefly_away_does_not_stop_the_training(workshop, recorder, job_id, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(
            recording, "tenant_session", lambda _scope: fail_with(OperationalError("", {}, Exception()))()
        )
        recorder.metric("train_loss", 1, 0.1, 2.0)
        recorder.beat(0.5, None)
        patched.setattr(recorder, "_written", recorder._written - 3600)
        with pytest.raises(OperationalError):
            recorder.beat(0.5, None)
    recorder.beat(0.6, None)
    assert workshop.job(job_id).progress == 0.6
    assert workshop.metrics(job_id) == {("train_loss", 1): 2.0}


def test_what_an_attempt_left_when_it_was_killed_is_cleared_by_the_next(workshop, job_id, monkeypatch):
    write = Recorder._write

    def be_killed_before_the_row_names_the_second(recorder, message=None, **values):
        if recorder._checkpoints == 1 and "checkpoint_blob" in values:
            raise Killed
        return write(recorder, message, **values)

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "_write", be_killed_before_the_row_names_the_second)
        with pytest.raises(Killed):
            workshop.run(Recipe())
    assert len(workshop.blobs()) == 2
    let_lease_run_out(job_id)
    reconcile()
    seen: list[list[str]] = []
    workshop.run(Recipe(at_step=at(2, lambda: seen.append(workshop.blobs()))))
    assert seen == [[f"checkpoints/{job_id}/1-a"]]
    assert workshop.blobs() == [f"adapters/{job_id}/2.safetensors"]
