"""Datasets made the way the product makes them, for tests that need some."""

from uuid import UUID, uuid4

from core.db import tenant_session
from core.models.datasets import DatasetStatus, DatasetVersion
from core.storage import blob_store, tenant_key
from core.tenancy import TenantScope
from training.data import datasets, tasks
from training.data.sources import mapping_of


def upload(
    scope: TenantScope, data: bytes, *, filename: str = "messages.csv", name: str | None = None
) -> UUID:
    """Upload `data` as the first version of a new dataset, which then waits for its columns."""
    with tenant_session(scope) as session:
        version_id = uuid4()
        blob = blob_store().put(tenant_key(session, scope.tenant_id), datasets.upload_name(version_id), data)
        dataset = datasets.create_dataset(session, scope, name or f"Dataset {version_id}")
        datasets.add_version(session, scope, dataset, version_id, filename, blob)
        session.commit()
    return version_id


def check(scope: TenantScope, version_id: UUID) -> DatasetVersion:
    """Check an upload with the guessed columns, as a worker would."""
    with tenant_session(scope) as session:
        version = session.get_one(DatasetVersion, version_id)
        datasets.start_check(session, scope, version, mapping_of(session, version))
        session.commit()
    tasks.check_dataset(str(scope.tenant_id), str(version_id))
    return get(scope, version_id)


def accept(scope: TenantScope, version_id: UUID) -> DatasetVersion:
    """Accept and import a checked upload, as a person and a worker would."""
    with tenant_session(scope) as session:
        datasets.accept(session, scope, session.get_one(DatasetVersion, version_id))
        session.commit()
    tasks.import_dataset(str(scope.tenant_id), str(version_id))
    return get(scope, version_id)


def get(scope: TenantScope, version_id: UUID) -> DatasetVersion:
    with tenant_session(scope) as session:
        return session.get_one(DatasetVersion, version_id)


def ready_version(scope: TenantScope, data: bytes, *, filename: str = "messages.csv") -> DatasetVersion:
    """`data`, taken all the way to a version that models can be trained on."""
    version_id = upload(scope, data, filename=filename)
    checked = check(scope, version_id)
    assert checked.status is DatasetStatus.REVIEW, checked.error
    ready = accept(scope, version_id)
    assert ready.status is DatasetStatus.READY, ready.error
    return ready
