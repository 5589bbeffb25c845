"""Fine-tuning jobs over the API, with the openai package and real workers' code."""

import io
import json
from datetime import timedelta

import openai
import pytest
from sqlalchemy import func, select, update

from core.clock import now
from core.db import operator_session, tenant_session
from core.models.datasets import DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob
from core.models.fine_tune_requests import FineTuneRequest
from core.queues import Queue, rq_queue
from portal import periodic
from tests.api.workers import work_off
from training.data import datasets
from training.data.columns import Split
from training.preparing import prepare_fine_tune
from training.requests import SAME_WITHIN

BASE = "all-minilm-l6-v2"


def jsonl(rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def messages(count=40):
    return [
        {"text": f"Where is parcel {number} of mine?", "label": "delivery"}
        if number % 2
        else {"text": f"Please give me the money for order {number} back!", "label": "refund"}
        for number in range(count)
    ]


def upload(app, rows=None, data=None):
    data = jsonl(messages() if rows is None else rows) if data is None else data
    return app.openai.files.create(file=("messages.jsonl", io.BytesIO(data)), purpose="fine-tune").id


def create(app, file_id, **options):
    options = {"model": BASE, "suffix": "Support", **options}
    return app.openai.fine_tuning.jobs.create(training_file=file_id, **options)


def retrieve(app, job):
    return app.openai.fine_tuning.jobs.retrieve(job.id)


def count(app, table):
    with tenant_session(app.scope) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_file_becomes_a_model_by_way_of_a_job(app):
    client = app.openai
    file_id = upload(app)
    job = create(app, file_id, hyperparameters={"n_epochs": 1}, seed=7, metadata={"team": "help desk"})
    assert (job.status, job.model, job.training_file, job.seed) == ("validating_files", BASE, file_id, 7)
    assert (job.hyperparameters.n_epochs, job.metadata) == (1, {"team": "help desk"})
    assert job.fine_tuned_model is None

    work_off(Queue.DATASETS)
    assert retrieve(app, job).status == "queued"
    work_off(Queue.FINE_TUNE)

    done = retrieve(app, job)
    assert (done.status, done.error, done.fine_tuned_model) == ("succeeded", None, "support")
    assert done.trained_tokens > 0
    assert done.finished_at >= done.created_at
    assert [listed.id for listed in client.fine_tuning.jobs.list()] == [job.id]

    events = list(client.fine_tuning.jobs.list_events(job.id, limit=2))
    assert events[-1].message.startswith("Created")
    assert any("Finished" in event.message for event in events)
    assert len({event.id for event in events}) == len(events)
    [checkpoint] = client.fine_tuning.jobs.checkpoints.list(job.id)
    assert checkpoint.fine_tuned_model_checkpoint == "support"
    assert checkpoint.metrics.valid_loss is not None

    assert client.models.retrieve("support").owned_by == "tenant"
    assert client.models.delete("support").deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("support")
    assert [model.id for model in client.models.list() if model.owned_by == "tenant"] == []
    with pytest.raises(openai.BadRequestError, match="nothing to cancel"):
        client.fine_tuning.jobs.cancel(job.id)


def test_the_same_request_within_minutes_is_the_same_job(app):
    file_id = upload(app)
    first = create(app, file_id)
    assert create(app, file_id).id == first.id
    work_off(Queue.DATASETS)
    assert create(app, file_id).id == first.id
    assert create(app, file_id, suffix="other").id != first.id
    assert create(app, file_id, hyperparameters={"n_epochs": 2}).id != first.id
    assert count(app, FineTuneJob) == 1


def test_the_same_request_is_another_job_once_the_first_has_ended_or_is_old(app):
    file_id = upload(app)
    first = create(app, file_id)
    app.openai.fine_tuning.jobs.cancel(first.id)
    second = create(app, file_id)
    assert second.id != first.id
    with operator_session("test") as session:
        session.execute(update(FineTuneRequest).values(created_at=now() - SAME_WITHIN - timedelta(seconds=1)))
        session.commit()
    assert create(app, file_id).id != second.id


def test_requests_at_once_make_one_job(app):
    from concurrent.futures import ThreadPoolExecutor

    file_id = upload(app)
    with ThreadPoolExecutor(4) as threads:
        jobs = list(threads.map(lambda _: create(app, file_id).id, range(8)))
    assert len(set(jobs)) == 1


def test_a_file_that_forbids_training_fails_the_job_with_what_to_do(app):
    job = create(app, upload(app, messages(6)))
    work_off(Queue.DATASETS)
    failed = retrieve(app, job)
    assert failed.status == "failed"
    assert "at least 20" in failed.error.message
    assert failed.error.param == "training_file"
    assert count(app, FineTuneJob) == 0
    [last, *_] = app.openai.fine_tuning.jobs.list_events(job.id)
    assert (last.level, last.message) == ("error", failed.error.message)


def test_a_broken_row_fails_the_job_and_is_named(app):
    job = create(app, upload(app, data=jsonl(messages()) + b"{broken\n"))
    work_off(Queue.DATASETS)
    failed = retrieve(app, job)
    assert failed.status == "failed"
    assert "Row 41" in failed.error.message


def test_a_validation_files_rows_are_the_validation_split(app):
    training, validation = messages(60)[:40], messages(60)[40:]
    file_id = upload(app, training)
    create(app, file_id, validation_file=upload(app, validation))
    work_off(Queue.DATASETS)
    with tenant_session(app.scope) as session:
        version = session.scalars(select(DatasetVersion)).one()
        rows = list(datasets.iter_rows(session, version))
    chosen = {row.row for row in rows if row.split is Split.VALIDATION}
    assert chosen == set(range(41, 61))
    assert Split.TEST in {row.split for row in rows}


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_job_is_cancelled_before_and_after_its_file_was_checked(app, at):
    job = create(app, upload(app))
    if at == "after":
        work_off(Queue.DATASETS)
    assert app.openai.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    work_off(Queue.DATASETS)
    assert retrieve(app, job).status == "cancelled"
    assert count(app, FineTuneJob) == (1 if at == "after" else 0)


def test_a_request_whose_ring_is_lost_is_rung_for_again(app):
    job = create(app, upload(app))
    rq_queue(Queue.DATASETS).empty()
    periodic.requeue_fine_tune_requests()
    work_off(Queue.DATASETS)
    assert retrieve(app, job).status == "queued"


def test_workers_that_prepare_the_same_request_at_once_launch_one_job(app):
    from concurrent.futures import ThreadPoolExecutor

    create(app, upload(app))
    rq_queue(Queue.DATASETS).empty()
    with tenant_session(app.scope) as session:
        request = session.scalars(select(FineTuneRequest)).one()
    ids = str(request.tenant_id), str(request.id)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: prepare_fine_tune(*ids), range(3)))
    prepare_fine_tune(*ids)
    assert count(app, FineTuneJob) == 1
    assert count(app, DatasetVersion) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "smollm2-135m-instruct"}, "can be trained for chat"),
        ({"suffix": "!!"}, "suffix"),
        ({"hyperparameters": {"n_epochs": 0}}, "n_epochs"),
        ({"hyperparameters": {"learning_rate_multiplier": 1e9}}, "learning_rate_multiplier"),
        ({"hyperparameters": {"batch_size": 8}}, "batch_size"),
        ({"hyperparameters": {"privacy_epsilon": 0}}, "privacy_epsilon: Enter a number from 0.1 to 20"),
        ({"hyperparameters": {"privacy_epsilon": "strong"}}, "privacy_epsilon"),
        ({"method": {"type": "dpo"}}, "method"),
        ({"validation_file": "file-none"}, "no such file"),
        ({"metadata": {"a": "\0"}}, "NUL"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_at_once(app, options, words):
    with pytest.raises(openai.BadRequestError, match=words):
        create(app, upload(app), **options)
    assert count(app, FineTuneRequest) == 0


def test_an_unknown_model_or_file_is_refused(app):
    with pytest.raises(openai.NotFoundError):
        create(app, upload(app), model="ft:gpt-4:acme")
    with pytest.raises(openai.BadRequestError, match="no such file"):
        create(app, "file-" + "0" * 32)


def test_another_tenants_job_does_not_exist_and_neither_does_its_file(app, other_app):
    file_id = upload(app)
    job = create(app, file_id)
    client = other_app.openai.fine_tuning.jobs
    assert list(client.list()) == []
    for call in (client.retrieve, client.cancel, client.list_events, client.checkpoints.list):
        with pytest.raises(openai.NotFoundError):
            call(job.id)
    with pytest.raises(openai.BadRequestError, match="no such file"):
        create(other_app, file_id)


def test_a_key_that_may_not_manage_starts_no_job(app, make_app):
    file_id = upload(app)
    with pytest.raises(openai.PermissionDeniedError):
        create(make_app(app.scope, may_manage=False), file_id)
