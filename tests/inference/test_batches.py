"""Batches with the openai package, over a real pool: answered in files, billed once, whatever worker dies."""

import io
import json
import os
import signal
import subprocess
import sys
from datetime import timedelta

import openai
import pytest
from sqlalchemy import func, select, update

from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.api_keys import ApiKey
from core.models.batches import Batch, BatchStatus
from core.models.kept_answers import KeptAnswer
from core.models.usage import UsageFact
from core.queues import Queue, rq_queue
from core.waiting import wait_until
from inference.gateway.batches.asked import STALE
from portal import periodic
from stack.child import ROOT
from tests.api.conftest import App
from tests.api.workers import work_off
from tests.inference.conftest import publish

PATIENCE = 60


@pytest.fixture
def app(api, caller) -> App:
    return managing(api, caller.scope)


@pytest.fixture
def other_app(api, other_caller) -> App:
    return managing(api, other_caller.scope)


def managing(api, scope) -> App:
    with tenant_session(scope) as session:
        key, plain = api_keys.create(session, scope, "batches", may_manage=True)
        session.commit()
    return App(scope, key.id, plain, api)


def line(number, body, url="/v1/classify"):
    return {"custom_id": f"line {number}", "method": "POST", "url": url, "body": body}


def question(number, **fields):
    return line(number, {"model": "support", "input": f"Where is my order {number}?", **fields})


def upload(app, lines) -> str:
    data = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    file_id: str = app.openai.files.create(file=("lines.jsonl", io.BytesIO(data)), purpose="batch").id
    return file_id


def create(app, lines, endpoint="/v1/classify", **options):
    return app.openai.batches.create(
        input_file_id=upload(app, lines), endpoint=endpoint, completion_window="24h", **options
    )


def retrieve(app, batch):
    return app.openai.batches.retrieve(batch.id)


def read(app, file_id):
    return [json.loads(one) for one in app.openai.files.content(file_id).read().splitlines()]


def facts(app) -> list[UsageFact]:
    with tenant_session(app.scope) as session:
        return list(session.scalars(select(UsageFact)))


def count(app, table):
    with tenant_session(app.scope) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_batch_is_answered_in_a_file_and_its_failures_in_another(app, support):
    publish(app.scope, "support", support)
    lines = [question(number) for number in range(70)]
    lines[3] = line(3, {"model": "no such model", "input": "a"})
    lines[68] = line(68, {"model": "support"})
    batch = create(app, lines, metadata={"run": "nightly"})
    assert (batch.status, batch.metadata) == ("validating", {"run": "nightly"})
    work_off(Queue.BATCHES)

    done = retrieve(app, batch)
    assert done.status == "completed"
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (
        70,
        68,
        2,
    )
    output, errors = read(app, done.output_file_id), read(app, done.error_file_id)
    expected = [one["custom_id"] for number, one in enumerate(lines) if number not in (3, 68)]
    assert [one["custom_id"] for one in output] == expected
    assert all(one["response"]["status_code"] == 200 for one in output)
    alone = app.ask("POST", "/v1/classify", json=lines[0]["body"]).json
    assert output[0]["response"]["body"]["results"] == alone["results"]
    assert [(one["custom_id"], one["response"]["status_code"]) for one in errors] == [
        ("line 3", 404),
        ("line 68", 400),
    ]
    billed = {fact.request_id for fact in facts(app)} - {alone["request_id"]}
    assert billed == {one["response"]["request_id"] for one in output}
    assert count(app, KeptAnswer) == 0


def test_a_worker_killed_in_the_middle_loses_no_line_and_bills_none_twice(app, support):
    publish(app.scope, "support", support)
    lines = [question(number) for number in range(200)]
    batch = create(app, lines)
    worker = subprocess.Popen(
        [sys.executable, "-m", "training.worker", Queue.BATCHES],
        cwd=ROOT,
        env=os.environ,
        start_new_session=True,
    )
    try:
        # In the middle of a part: more is billed than the batch knows to be done.
        assert wait_until(
            lambda: 0 < retrieve(app, batch).request_counts.completed < count(app, UsageFact), PATIENCE
        )
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    killed = retrieve(app, batch)
    assert killed.status == "in_progress"
    assert 0 < killed.request_counts.completed < 200
    long_ago = now() - STALE - timedelta(seconds=1)
    with operator_session("test") as session:
        session.execute(update(Batch).values(heartbeat_at=long_ago))
        session.execute(update(KeptAnswer).values(claimed_until=long_ago))
        session.commit()
    rq_queue(Queue.BATCHES).empty()
    periodic.requeue_batches()
    work_off(Queue.BATCHES)

    done = retrieve(app, batch)
    assert (done.status, done.request_counts.completed) == ("completed", 200)
    output = read(app, done.output_file_id)
    assert [one["custom_id"] for one in output] == [one["custom_id"] for one in lines]
    answered = {one["response"]["request_id"]: one["response"]["body"]["usage"]["tokens"] for one in output}
    assert {fact.request_id: fact.quantity for fact in facts(app)} == answered
    assert len(facts(app)) == 200


def test_embeddings_are_made_in_a_batch(app):
    body = {"model": "all-minilm-l6-v2", "input": ["a", "b"]}
    batch = create(app, [line(0, body, "/v1/embeddings")], endpoint="/v1/embeddings")
    work_off(Queue.BATCHES)
    [one] = read(app, retrieve(app, batch).output_file_id)
    assert len(one["response"]["body"]["data"]) == 2


@pytest.mark.parametrize(
    ("lines", "words", "number"),
    [
        ([question(0), question(0)], "custom_id", 2),
        ([question(0), line(1, {}, url="/v1/tag")], "'url'", 2),
        ([question(0), {**question(1), "method": "GET"}], "method", 2),
    ],
)
def test_a_line_that_no_batch_can_have_fails_the_batch_and_is_named(app, lines, words, number):
    batch = create(app, lines)
    work_off(Queue.BATCHES)
    failed = retrieve(app, batch)
    assert failed.status == "failed"
    [problem] = failed.errors.data
    assert words in problem.message
    assert problem.line == number
    assert facts(app) == []


def test_a_batch_is_cancelled(app):
    batch = create(app, [question(0)])
    assert app.openai.batches.cancel(batch.id).status == "cancelling"
    work_off(Queue.BATCHES)
    cancelled = retrieve(app, batch)
    assert (cancelled.status, cancelled.output_file_id) == ("cancelled", None)
    assert facts(app) == []
    with pytest.raises(openai.BadRequestError, match="ended"):
        app.openai.batches.cancel(batch.id)


def test_a_batch_ends_when_its_key_is_revoked_or_its_day_is_over(app, support):
    publish(app.scope, "support", support)
    late, orphan = create(app, [question(0)]), create(app, [question(0)])
    with operator_session("test") as session:
        session.execute(
            update(Batch).where(Batch.id == late.id.removeprefix("batch_")).values(expires_at=now())
        )
        session.commit()
    rq_queue(Queue.BATCHES).empty()
    with tenant_session(app.scope) as session:
        api_keys.revoke(session, app.scope, session.get_one(ApiKey, app.key_id))
        session.commit()
    periodic.requeue_batches()
    work_off(Queue.BATCHES)
    with tenant_session(app.scope) as session:
        statuses = {f"batch_{one.id.hex}": one.status for one in session.scalars(select(Batch))}
    assert statuses == {late.id: BatchStatus.EXPIRED, orphan.id: BatchStatus.FAILED}
    assert facts(app) == []


def test_a_batch_waits_where_the_models_are_away(app, monkeypatch):
    from inference.gateway.batches import lines as batch_lines
    from inference.gateway.batches.endpoints import CALLS
    from inference.gateway.prediction import PoolUnavailable

    def be_away(*_):
        raise PoolUnavailable("away")

    monkeypatch.setitem(CALLS, "/v1/classify", be_away)
    monkeypatch.setattr(batch_lines, "_SECONDS_BETWEEN", 0)
    batch = create(app, [question(0)])
    work_off(Queue.BATCHES)
    waiting = retrieve(app, batch)
    assert (waiting.status, waiting.request_counts.completed) == ("in_progress", 0)
    with tenant_session(app.scope) as session:
        assert session.scalars(select(Batch.heartbeat_at)).one() is None
    assert count(app, KeptAnswer) == 0


def test_batches_are_listed_in_pages(app):
    made = [create(app, [question(0)]).id for _ in range(3)]
    assert [batch.id for batch in app.openai.batches.list(limit=2)] == made[::-1]


def test_another_tenants_batch_and_file_do_not_exist(app, other_app):
    batch = create(app, [question(0)])
    client = other_app.openai.batches
    assert list(client.list()) == []
    for call in (client.retrieve, client.cancel):
        with pytest.raises(openai.NotFoundError):
            call(batch.id)
    with pytest.raises(openai.BadRequestError, match="no such file"):
        client.create(input_file_id=batch.input_file_id, endpoint="/v1/classify", completion_window="24h")
