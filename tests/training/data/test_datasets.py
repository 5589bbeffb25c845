"""From an upload to immutable rows: the jobs, killed and doubled, and what is left of personal data."""

import csv
import io
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from rq.serializers import JSONSerializer
from sqlalchemy import update

from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.privacy.policies import change_policy
from core.queues import Queue, redis, rq_queue
from core.storage import BlobNotFound, blob_store, tenant_key
from core.tenancy import TenantScope, system_scope
from tests.datasets import accept, check, get, ready_version, upload
from training.data import datasets, tasks
from training.data.claims import STALE, Claim, ClaimLost
from training.data.columns import ColumnMapping, Split
from training.data.importing import Importer
from training.data.normalise import text_key
from training.data.sources import mapping_of
from training.worker import PromptWorker

SECRET = "Amelie.Rousseau@example.com"


def table(rows, header=("text", "label")) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([header, *rows])
    return buffer.getvalue().encode()


def messages(count=60):
    return [
        (
            f"Where is parcel number {number} of mine?" if number % 2 else f"Refund order {number}!",
            "delivery" if number % 2 else "refund",
        )
        for number in range(count)
    ]


@pytest.fixture
def scope(make_tenant) -> TenantScope:
    return system_scope(make_tenant().id, "test")


def report_of(version: DatasetVersion) -> dict[str, Any]:
    assert version.report is not None
    return version.report


def rows_of(scope, version):
    with tenant_session(scope) as session:
        return list(datasets.iter_rows(session, version))


def blobs_of(scope) -> list[str]:
    root = get_settings().blob_url.removeprefix("file://")
    folder = Path(root, str(scope.tenant_id))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_upload_becomes_immutable_rows_and_is_deleted(scope):
    version = ready_version(scope, table(messages()))
    rows = rows_of(scope, version)
    assert [row.row for row in rows] == list(range(1, 61))
    assert Counter(row.split for row in rows) == {Split.TRAIN: 48, Split.VALIDATION: 6, Split.TEST: 6}
    assert version.split_counts == {"train": 48, "validation": 6, "test": 6}
    assert (version.rows, version.labels) == (60, ["delivery", "refund"])
    assert version.upload_blob is None
    assert blobs_of(scope) == [version.blob]
    with tenant_session(scope) as session:
        stored = blob_store().get(tenant_key(session, scope.tenant_id), str(version.blob), version.digest)
        assert set(json.loads(stored.splitlines()[0])) == {"text", "label", "split", "row"}
        actions = session.query(AuditEvent.action).order_by(AuditEvent.at).all()
    assert [action for (action,) in actions if action.startswith("dataset.")] == [
        "dataset.created",
        "dataset.uploaded",
        "dataset.accepted",
        "dataset.ready",
    ]


def test_personal_data_is_nowhere_but_in_the_raw_upload(scope):
    rows = [*messages(), (f"Write to {SECRET} about it", "refund"), (f"My address: {SECRET}", "delivery")]
    version_id = upload(scope, table(rows))
    checked = check(scope, version_id)
    personal = report_of(checked)["personal_data"]
    assert (personal["rows_with"], personal["rows_checked"]) == (2, 62)
    [entity] = [entity for entity in personal["entities"] if entity["entity"] == "EMAIL_ADDRESS"]
    assert [example["row"] for example in entity["examples"]] == [61, 62]
    assert entity["examples"][0]["value"] == "A***@e***"
    ready = accept(scope, version_id)
    stored = rows_of(scope, ready)[-2:]
    assert "[EMAIL_ADDRESS_" in stored[0].text
    assert stored[0].text.split("[")[1].split("]")[0] == stored[1].text.split("[")[1].split("]")[0]
    with tenant_session(scope) as session:
        everything = [
            {column.name: getattr(row, column.name) for column in row.__table__.columns}
            for model in (Dataset, DatasetVersion, AuditEvent)
            for row in session.query(model)
        ]
    assert "rousseau" not in repr((everything, stored)).lower()


def test_examples_in_a_report_hold_no_personal_data_even_where_the_policy_is_off(scope):
    with tenant_session(scope) as session:
        change_policy(session, scope, entities=["EMAIL_ADDRESS"], enabled=False, reason="Our own test data")
        session.commit()
    rows = [*messages(), (f"Write to {SECRET}", "refund"), (f"Write to {SECRET}", "refund")]
    version_id = upload(scope, table(rows))
    checked = check(scope, version_id)
    assert SECRET not in repr(checked.report)
    [duplicates] = [found for found in report_of(checked)["findings"] if found["code"] == "duplicates"]
    assert duplicates["examples"][0]["row"] == 62
    assert any(SECRET in row.text for row in rows_of(scope, accept(scope, version_id)))


def test_empty_and_repeated_rows_are_left_out_and_counted(scope):
    rows = [*messages(), messages()[0], (" ", "refund"), ("No label", ""), ("Refund order 0!", "delivery")]
    version = ready_version(scope, table(rows))
    assert report_of(version)["left_out"] == {"empty": 2, "duplicates": 1, "leaks": 0}
    assert version.rows == 61


def test_texts_that_differ_in_their_pseudonyms_only_are_in_one_split(scope):
    rows = [*messages(), *((f"Call me at person{number}@example.com", "delivery") for number in range(30))]
    rows_found = rows_of(scope, ready_version(scope, table(rows)))
    assert len({row.split for row in rows_found if row.text.startswith("Call me at [EMAIL")}) == 1


def test_the_files_own_split_is_kept_and_its_leaks_are_left_out(scope):
    own = [
        (text, label, ("train", "dev", "test")[number % 3]) for number, (text, label) in enumerate(messages())
    ]
    own.append((own[0][0].upper(), own[0][1], "test"))
    version = ready_version(scope, table(own, ("text", "label", "split")))
    rows = rows_of(scope, version)
    assert report_of(version)["left_out"]["leaks"] == 1
    assert 1 not in {row.row for row in rows}
    splits: dict[int, set[Split]] = {}
    for row in rows:
        splits.setdefault(text_key(row.text), set()).add(row.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {row.row: row.split for row in rows}[3] is Split.TEST


def test_the_same_rows_make_the_same_digest_and_the_owner_is_told(scope):
    first = ready_version(scope, table(messages()))
    second = ready_version(scope, table(messages()), filename="again.csv")
    assert first.digest == second.digest
    with tenant_session(scope) as session:
        twin = datasets.find_twin(session, second)
    assert twin is not None
    assert twin.id == first.id


def test_a_bad_row_fails_the_version_with_the_row_and_the_fix(scope):
    data = table(messages()).replace(b"Refund order 58!", b"Refund, order 58!", 1)
    version = check(scope, upload(scope, data))
    assert version.status is DatasetStatus.FAILED
    assert str(version.error).startswith("Row 59 has 3 fields, the header has 2")


def test_what_cannot_be_trained_on_cannot_be_accepted(scope):
    version = check(scope, upload(scope, table([(f"Text {number}", "same") for number in range(40)])))
    assert report_of(version)["blocked"]
    with tenant_session(scope) as session, pytest.raises(datasets.DatasetError, match="cannot be trained on"):
        datasets.accept(session, scope, session.get_one(DatasetVersion, version.id))


def test_a_job_that_runs_twice_changes_nothing_the_second_time(scope):
    version = ready_version(scope, table(messages()))
    ids = str(scope.tenant_id), str(version.id)
    tasks.check_dataset(*ids)
    tasks.import_dataset(*ids)
    again = get(scope, version.id)
    assert (again.digest, again.blob, again.ready_at) == (version.digest, version.blob, version.ready_at)


def importing(scope) -> UUID:
    """A version whose import has been asked for and not begun."""
    version_id = upload(scope, table(messages()))
    check(scope, version_id)
    with tenant_session(scope) as session:
        datasets.accept(session, scope, session.get_one(DatasetVersion, version_id))
        session.commit()
    return version_id


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs but clean-up that a real one would not do."""


def die(*_arguments, **_names):
    raise Killed


def go_stale(version_id):
    with operator_session("test") as session:
        session.execute(
            update(DatasetVersion)
            .where(DatasetVersion.id == version_id)
            .values(heartbeat_at=now() - STALE - timedelta(seconds=1))
        )
        session.commit()


def test_an_import_that_was_killed_is_rung_for_and_done_by_another_leaving_nothing_behind(scope, monkeypatch):
    version_id = importing(scope)
    with monkeypatch.context() as patched:
        patched.setattr(Importer, "_split", die)
        with pytest.raises(Killed):
            tasks.import_dataset(str(scope.tenant_id), str(version_id))
    assert any(name.endswith(".draft") for name in blobs_of(scope))

    tasks.import_dataset(str(scope.tenant_id), str(version_id))
    assert get(scope, version_id).status is DatasetStatus.IMPORTING, "the dead job's claim holds for a while"

    rq_queue(Queue.DATASETS).empty()
    go_stale(version_id)
    with operator_session("test") as session:
        assert datasets.requeue_lost(session) == 1
        session.commit()
    [job] = rq_queue(Queue.DATASETS).jobs
    assert (job.func_name, job.args) == (datasets.IMPORT, [str(scope.tenant_id), str(version_id)])

    tasks.import_dataset(*job.args)
    ready = get(scope, version_id)
    assert ready.status is DatasetStatus.READY
    assert blobs_of(scope) == [ready.blob]


def test_a_job_that_was_taken_for_dead_and_comes_back_stops_without_a_trace(scope, monkeypatch):
    version_id = importing(scope)
    split = Importer._split

    def be_overtaken(importer):
        go_stale(version_id)
        monkeypatch.setattr(Importer, "_split", split)
        tasks.import_dataset(str(scope.tenant_id), str(version_id))
        return split(importer)

    monkeypatch.setattr(Importer, "_split", be_overtaken)
    tasks.import_dataset(str(scope.tenant_id), str(version_id))
    ready = get(scope, version_id)
    assert ready.status is DatasetStatus.READY
    assert blobs_of(scope) == [ready.blob]


def test_a_version_that_waits_in_the_queue_is_not_rung_for_again(scope):
    importing(scope)
    with operator_session("test") as session:
        assert datasets.requeue_lost(session) == 0


def test_discarding_stops_the_job_and_deletes_the_upload(scope):
    version_id = importing(scope)
    claim = Claim.take(scope, version_id, DatasetStatus.IMPORTING)
    assert claim is not None
    with tenant_session(scope) as session:
        datasets.discard(session, scope, session.get_one(DatasetVersion, version_id))
        session.commit()
    assert blobs_of(scope) == []
    with tenant_session(scope) as session, pytest.raises(ClaimLost):
        claim.write(session, progress=0.5)


def test_a_ready_version_cannot_be_discarded(scope):
    version = ready_version(scope, table(messages()))
    with tenant_session(scope) as session, pytest.raises(datasets.DatasetError, match="ready by now"):
        datasets.discard(session, scope, session.get_one(DatasetVersion, version.id))


def test_an_upload_that_nobody_comes_back_to_is_deleted(scope):
    version_id = upload(scope, table(messages()))
    with operator_session("test") as session:
        session.execute(
            update(DatasetVersion)
            .where(DatasetVersion.id == version_id)
            .values(created_at=now() - timedelta(days=15))
        )
        assert datasets.discard_abandoned(session) == 1
        session.commit()
    assert get(scope, version_id).status is DatasetStatus.DISCARDED
    assert blobs_of(scope) == []


def test_a_fault_of_ours_is_not_blamed_on_the_file(scope, monkeypatch):
    version_id = upload(scope, table(messages()))
    monkeypatch.setattr(tasks, "TokenCounter", lambda _model: 1 / 0)
    version = check(scope, version_id)
    assert version.status is DatasetStatus.FAILED
    assert "on our side" in str(version.error)
    monkeypatch.undo()
    assert check(scope, version_id).status is DatasetStatus.REVIEW


def test_two_versions_of_a_dataset_get_numbers_of_their_own_and_names_are_unique(scope):
    first = get(scope, upload(scope, table(messages()), name="Mail"))
    with tenant_session(scope) as session:
        dataset = session.get_one(Dataset, first.dataset_id)
        version_id = uuid4()
        blob = blob_store().put(
            tenant_key(session, scope.tenant_id), datasets.upload_name(version_id), table(messages())
        )
        assert datasets.add_version(session, scope, dataset, version_id, "a.csv", blob).number == 2
        session.commit()
    with pytest.raises(datasets.DatasetError, match="already"):
        upload(scope, table(messages()), name=" Mail ")


def test_another_tenant_sees_neither_version_nor_rows(scope, make_tenant):
    version = ready_version(scope, table(messages()))
    other = system_scope(make_tenant().id, "test")
    with tenant_session(other) as session:
        assert session.get(DatasetVersion, version.id) is None
        with pytest.raises(BlobNotFound):
            blob_store().open(tenant_key(session, other.tenant_id), str(version.blob))


def test_the_same_column_twice_is_refused(scope):
    version_id = upload(scope, table(messages()))
    with tenant_session(scope) as session:
        version = session.get_one(DatasetVersion, version_id)
        with pytest.raises(datasets.DatasetError, match="different columns"):
            datasets.start_check(session, scope, version, ColumnMapping("text", "text"))


def test_a_real_worker_does_the_jobs(scope):
    version_id = upload(scope, table(messages()))
    with tenant_session(scope) as session:
        version = session.get_one(DatasetVersion, version_id)
        datasets.start_check(session, scope, version, mapping_of(session, version))
        session.commit()
    worker = PromptWorker([rq_queue(Queue.DATASETS)], connection=redis(), serializer=JSONSerializer)
    worker.work(burst=True, logging_level="WARNING")
    assert get(scope, version_id).status is DatasetStatus.REVIEW
