"""Retention: what is older than a tenant's rules is deleted, and nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from core import audit
from core.clock import now
from core.db import tenant_session
from core.models.audit import AuditEvent
from core.models.batches import Batch, BatchStatus
from core.models.datasets import DatasetStatus, DatasetVersion
from core.models.files import ApiFile
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.models.models import Model
from core.storage import BlobNotFound, blob_store, tenant_key
from core.tenancy import Role
from portal import periodic, retention
from tests.datasets import get, ready_version
from tests.world import build_world

ROWS = b"text,label\n" + b"".join(
    b"%s number %d?,%s\n" % (word, number, word) for number in range(30) for word in (b"Delivery", b"Refund")
)
LATER = timedelta(days=31)


def keep(person, *, datasets=0, files=0, checkpoints=0):
    return person.client.post(
        "/retention",
        data={"dataset_days": datasets, "file_days": files, "checkpoint_days": checkpoints},
    )


def enforce(person, after=LATER) -> None:
    with tenant_session(person.scope) as session:
        retention.enforce(session, retention.clock_scope(person.scope.tenant_id), now() + after)
        session.commit()


def blob_is_there(person, name: str) -> bool:
    with tenant_session(person.scope) as session:
        try:
            blob_store().get(tenant_key(session, person.scope.tenant_id), name)
        except BlobNotFound:
            return False
    return True


@pytest.fixture
def version(admin) -> DatasetVersion:
    return ready_version(admin.scope, ROWS)


def queue_job(person, version: DatasetVersion, status: JobStatus, **values) -> None:
    with tenant_session(person.scope) as session:
        model = Model(tenant_id=version.tenant_id, name="support", base_model="minilm")
        session.add(model)
        session.flush()
        session.add(
            FineTuneJob(
                tenant_id=version.tenant_id,
                model_id=model.id,
                dataset_version_id=version.id,
                base_model="minilm",
                settings={},
                seed=0,
                status=status,
                **values,
            )
        )
        session.commit()


def test_without_rules_nothing_is_deleted(admin, version):
    enforce(admin, timedelta(days=10_000))
    periodic.enforce_retention()
    assert get(admin.scope, version.id).status is DatasetStatus.READY


def test_a_dataset_goes_when_its_days_are_over(admin, version):
    assert keep(admin, datasets=30).status_code == 303
    enforce(admin, timedelta(days=29))
    assert blob_is_there(admin, version.blob)
    enforce(admin)
    gone = get(admin.scope, version.id)
    assert (gone.status, gone.blob, gone.report) == (DatasetStatus.DISCARDED, None, None)
    assert not blob_is_there(admin, version.blob)
    page = admin.client.get(f"/datasets/versions/{version.id}", follow_redirects=True).get_data(as_text=True)
    assert "keeps datasets for 30 days" in page


def test_a_dataset_waits_for_its_job(admin, version):
    keep(admin, datasets=30)
    queue_job(admin, version, JobStatus.QUEUED)
    enforce(admin)
    assert get(admin.scope, version.id).status is DatasetStatus.READY
    assert blob_is_there(admin, version.blob)


def test_the_checkpoint_of_a_cancelled_job_goes_when_its_days_are_over(admin, version):
    with tenant_session(admin.scope) as session:
        blob_store().put(tenant_key(session, admin.scope.tenant_id), "checkpoints/one", b"weights")
    queue_job(admin, version, JobStatus.CANCELLED, checkpoint_blob="checkpoints/one", finished_at=now())
    keep(admin, checkpoints=30)
    enforce(admin, timedelta(days=29))
    assert blob_is_there(admin, "checkpoints/one")
    enforce(admin)
    assert not blob_is_there(admin, "checkpoints/one")
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(FineTuneJob.checkpoint_blob)).all() == [None]


def test_a_file_goes_when_its_days_are_over_and_no_batch_needs_it(admin):
    build_world(admin.scope)
    keep(admin, files=30)
    with tenant_session(admin.scope) as session:
        batch = session.scalars(select(Batch)).one()
        batch.status = BatchStatus.IN_PROGRESS
        file = session.scalars(select(ApiFile)).one()
        session.commit()
    enforce(admin)
    assert blob_is_there(admin, file.blob)
    with tenant_session(admin.scope) as session:
        session.get_one(Batch, batch.id).status = BatchStatus.COMPLETED
        session.commit()
    enforce(admin)
    assert not blob_is_there(admin, file.blob)
    with tenant_session(admin.scope) as session:
        assert session.get_one(ApiFile, file.id).deleted_at is not None


def test_one_tenants_rules_are_no_others(admin, other_admin, version):
    theirs = ready_version(other_admin.scope, ROWS)
    keep(admin, datasets=7)
    enforce(admin)
    enforce(other_admin)
    assert get(admin.scope, version.id).status is DatasetStatus.DISCARDED
    assert get(other_admin.scope, theirs.id).status is DatasetStatus.READY


def test_a_deletion_that_was_cut_off_goes_on(admin, version, monkeypatch):
    keep(admin, datasets=7)

    def die(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", die)
        with pytest.raises(KeyboardInterrupt):
            enforce(admin)
    assert get(admin.scope, version.id).status is DatasetStatus.READY
    enforce(admin)
    assert get(admin.scope, version.id).status is DatasetStatus.DISCARDED


def test_the_log_says_what_was_changed_and_deleted(admin, version):
    keep(admin, datasets=7)
    for _ in range(2):  # the second time there is nothing left to delete, or to note
        enforce(admin)
    with tenant_session(admin.scope) as session:
        events = {
            event.action: event.detail
            for event in session.scalars(select(AuditEvent).where(AuditEvent.action.like("retention.%")))
        }
        count = len(session.scalars(select(AuditEvent).where(AuditEvent.action == "retention.applied")).all())
    assert events["retention.changed"] == {"dataset_days": 7, "file_days": None, "checkpoint_days": None}
    assert events["retention.applied"] == {"datasets": 1, "files": 0, "checkpoints": 0}
    assert count == 1


def test_the_page_shows_the_rules_and_takes_no_other_days(admin, member):
    keep(admin, files=90)
    page = admin.client.get("/retention").get_data(as_text=True)
    assert '<option selected value="90">' in page
    assert keep(admin, files=-1).status_code == 422
    viewer = member(Role.VIEWER)
    assert 'type="submit" class="btn" data-variant="primary"' not in viewer.client.get("/retention").text
    assert keep(viewer, files=7).status_code == 403
