"""Exports: all that is a tenant's, nothing of another's, no secret, for a week."""

import hashlib
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core.clock import now
from core.db import operator_session, tenant_session
from core.models.exports import DataExport, ExportStatus
from core.models.users import User
from core.privacy.policies import change_policy
from core.queues import Queue, rq_queue
from core.tenancy import Role
from portal import export_contents, exports, periodic
from tests.api.workers import work_off
from tests.datasets import ready_version
from tests.world import build_world

ROWS = b"text,label\n" + b"".join(
    b"%s number %d?,%s\n" % (word, number, word) for number in range(30) for word in (b"Delivery", b"Refund")
)


def export_of(person) -> DataExport:
    with tenant_session(person.scope) as session:
        return session.scalars(select(DataExport).order_by(DataExport.created_at.desc()).limit(1)).one()


def make(person) -> DataExport:
    assert person.client.post("/exports").status_code == 303
    export = export_of(person)
    exports.build(str(export.tenant_id), str(export.id))
    return export_of(person)


def archive_of(person) -> zipfile.ZipFile:
    response = person.client.get(f"/exports/{export_of(person).id}/download")
    assert response.status_code == 200
    assert len(response.data) == int(response.headers["Content-Length"])
    archive = zipfile.ZipFile(io.BytesIO(response.data))
    assert archive.testzip() is None
    return archive


@pytest.fixture
def archive(admin, other_admin) -> zipfile.ZipFile:
    ready_version(admin.scope, ROWS)
    build_world(admin.scope)
    build_world(other_admin.scope)
    assert make(admin).status is ExportStatus.READY
    return archive_of(admin)


def test_the_manifest_has_the_digest_of_every_entry(archive):
    entries = json.loads(archive.read("manifest.json"))["entries"]
    there = {entry["name"]: entry for entry in entries if "missing" not in entry}
    assert set(there) == set(archive.namelist()) - {"manifest.json"}
    for name, entry in there.items():
        data = archive.read(name)
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest()), name


def test_an_archive_has_the_tenants_rows_and_files_and_no_others(archive, admin, other_admin):
    everything = b"".join(archive.read(name) for name in archive.namelist())
    assert str(other_admin.user_id).encode() not in everything
    assert other_admin.email.encode() not in everything
    emails = [json.loads(line)["email"] for line in archive.read("tables/users.jsonl").splitlines()]
    assert admin.email in emails
    for table in ("audit_events", "invoices", "usage_facts", "models", "fine_tune_jobs"):
        assert archive.read(f"tables/{table}.jsonl").count(b"\n") >= 1, table
    (rows,) = [name for name in archive.namelist() if name.startswith("datasets/")]
    assert archive.read(rows).count(b"\n") == 60
    (sent,) = [name for name in archive.namelist() if name.startswith("files/")]
    assert b"Where is my parcel?" in archive.read(sent)


def test_an_archive_has_the_values_of_the_policies_lists(admin):
    with tenant_session(admin.scope) as session:
        change_policy(session, admin.scope, entities=["PERSON"], allow_list=["Acme"], deny_list=["Halden"])
        session.commit()
    assert make(admin).status is ExportStatus.READY
    (policy,) = map(json.loads, archive_of(admin).read("tables/privacy_policies.jsonl").splitlines())
    assert (policy["allow_list"], policy["deny_list"]) == (["Acme"], ["Halden"])


def test_an_archive_says_which_file_is_missing(archive):
    entries = json.loads(archive.read("manifest.json"))["entries"]
    missing = [entry["name"] for entry in entries if "missing" in entry]
    assert any(name.startswith("adapters/") for name in missing)  # the world's has a row and no blob


def test_no_secret_is_in_an_archive(archive, admin):
    everything = b"".join(archive.read(name) for name in archive.namelist())
    with tenant_session(admin.scope) as session:
        for password_hash in session.scalars(select(User.password_hash)):
            assert password_hash.encode() not in everything
    keys = [json.loads(line) for line in archive.read("tables/api_keys.jsonl").splitlines()]
    assert keys
    assert all("digest" not in key for key in keys)


def test_a_worker_makes_it_and_one_is_made_at_a_time(admin):
    for _ in range(2):
        admin.client.post("/exports")
    with tenant_session(admin.scope) as session:
        assert len(session.scalars(select(DataExport)).all()) == 1
    assert "Queued" in admin.client.get("/exports").text
    work_off(Queue.DATASETS)
    assert export_of(admin).status is ExportStatus.READY
    assert "Download" in admin.client.get("/exports").text


def test_of_two_admins_who_ask_at_once_one_is_told(admin):
    with tenant_session(admin.scope) as first, tenant_session(admin.scope) as second:
        exports.request_export(first, admin.scope)

        def ask() -> str:
            with pytest.raises(exports.ExportError) as error:
                exports.request_export(second, admin.scope)
            return str(error.value)

        with ThreadPoolExecutor(1) as threads:
            other = threads.submit(ask)
            first.commit()
            assert other.result() == "An export is being made already."


def test_an_export_whose_worker_died_is_made_by_another(admin):
    admin.client.post("/exports")
    export = export_of(admin)
    with operator_session("test") as session:
        session.execute(
            update(DataExport).values(
                status=ExportStatus.EXPORTING,
                heartbeat_at=now() - timedelta(hours=1),
                created_at=now() - timedelta(hours=1),
            )
        )
        session.commit()
    rq_queue(Queue.DATASETS).empty()
    periodic.tend_exports()
    work_off(Queue.DATASETS)
    assert export_of(admin).status is ExportStatus.READY
    assert export_of(admin).id == export.id


def test_an_export_that_fails_says_so_and_another_may_be_asked_for(admin, monkeypatch):
    def fail(*_args):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(export_contents, "files", fail)
        assert make(admin).status is ExportStatus.FAILED
    assert "Ask for another" in admin.client.get("/exports").text
    assert make(admin).status is ExportStatus.READY


def test_an_archive_is_gone_after_a_week(admin):
    export = make(admin)
    assert export.expires_at is not None
    assert export.expires_at - now() > timedelta(days=6, hours=23)
    with operator_session("test") as session:
        session.execute(update(DataExport).values(expires_at=now() - timedelta(seconds=1)))
        session.commit()
    periodic.tend_exports()
    assert export_of(admin).status is ExportStatus.EXPIRED
    assert admin.client.get(f"/exports/{export.id}/download").status_code == 404


def test_admins_alone_export(admin, member, other_admin):
    export = make(admin)
    assert member(Role.DEVELOPER).client.post("/exports").status_code == 403
    assert other_admin.client.get(f"/exports/{export.id}/download").status_code == 404
