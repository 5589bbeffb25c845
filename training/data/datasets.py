"""Datasets and their versions: from an upload to immutable rows that models are trained on.

A version goes uploaded → checking → review → importing → ready. Each step is a compare-and-set on its status, so
that two people, two clicks or two jobs cannot take it twice. What the clock and RQ do only rings for it.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.audit import record
from core.catalogue import Task
from core.clock import now
from core.db import after_commit
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.storage import Blob, blob_store, tenant_key
from core.tenancy import Permission, TenantScope
from training.data.claims import STALE
from training.data.columns import ColumnMapping
from training.data.corrections import forget_corrections
from training.data.errors import DataError
from training.data.guessing import guess_mapping, guess_task
from training.data.readers import detect, open_table, preview
from training.data.rows import StoredRow, decode
from training.data.sources import Source, reading_of, seal_source, source_of
from training.data.table import Table

CHECK = "training.data.tasks.check_dataset"
IMPORT = "training.data.tasks.import_dataset"
_TASKS = {DatasetStatus.CHECKING: CHECK, DatasetStatus.IMPORTING: IMPORT}
_CHECK_SECONDS = 6 * 3600
_IMPORT_SECONDS = 48 * 3600
_ABANDONED = timedelta(days=14)

MAX_FILENAME_CHARACTERS = 255

WAITING = frozenset({DatasetStatus.UPLOADED, DatasetStatus.REVIEW, DatasetStatus.FAILED})
"""Statuses in which a version waits for a person."""

_OF_A_TASK = {DatasetStatus.CHECKING, DatasetStatus.REVIEW, DatasetStatus.IMPORTING, DatasetStatus.READY}

UNFINISHED = WAITING | {DatasetStatus.CHECKING, DatasetStatus.IMPORTING}


class DatasetError(Exception):
    """Something that was asked of a dataset cannot be done; the message says why, `field` beside which field."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def upload_name(version_id: UUID) -> str:
    """The blob that a version's raw upload is written to."""
    return f"datasets/{version_id}/upload"


def create_dataset(session: Session, scope: TenantScope, name: str) -> Dataset:
    """A new, empty dataset. Raises DatasetError where the tenant has one of that name."""
    scope.require(Permission.DATASETS_WRITE)
    name = " ".join(name.split())
    dataset = Dataset(tenant_id=scope.tenant_id, name=name, created_by_id=scope.actor.id)
    try:
        with session.begin_nested():
            session.add(dataset)
    except IntegrityError:
        raise DatasetError(
            f"There is a dataset “{name}” already. Choose another name, or upload a new version of it.",
            "name",
        ) from None
    record(session, scope, "dataset.created", dataset, {"name": name})
    return dataset


def add_version(
    session: Session, scope: TenantScope, dataset: Dataset, version_id: UUID, filename: str, upload: Blob
) -> DatasetVersion:
    """The next version of `dataset`, from an upload stored as `upload_name(version_id)`; it waits for its columns.

    Raises DataError where the upload is no table; the caller then deletes it.
    """
    scope.require(Permission.DATASETS_WRITE)
    key = tenant_key(session, scope.tenant_id)
    with blob_store().open(key, upload.name) as stream:
        reading = detect(stream, filename)
        table = open_table(stream, reading)
        mapping = guess(table, _settled_task(session, dataset))
    # Two uploads at once would both find the same number free.
    session.execute(select(Dataset.id).where(Dataset.id == dataset.id).with_for_update())
    number = session.scalar(
        select(func.coalesce(func.max(DatasetVersion.number), 0) + 1).where(
            DatasetVersion.dataset_id == dataset.id
        )
    )
    version = DatasetVersion(
        id=version_id,
        tenant_id=scope.tenant_id,
        dataset_id=dataset.id,
        number=number,
        status=DatasetStatus.UPLOADED,
        format=reading.format.value,
        size_bytes=upload.size,
        upload_blob=upload.name,
        created_by_id=scope.actor.id,
    )
    source = Source(filename[-MAX_FILENAME_CHARACTERS:], table.columns, reading, mapping)
    version.sealed_source = seal_source(key, version, source)
    session.add(version)
    session.flush()
    record(session, scope, "dataset.uploaded", version, {"dataset": dataset.name, "version": number})
    return version


def guess(table: Table, task: Task | None = None) -> ColumnMapping:
    """The likeliest mapping of `table`, for `task` where it is known. Raises DataError where it cannot have one."""
    rows = preview(table)
    if not rows:
        raise DataError("The file has column names but no rows below them. Add rows and upload it again.")
    mapping = guess_mapping(
        table.columns, rows, table.several, task or guess_task(table.columns, rows, table.several)
    )
    if mapping is None:
        raise DataError(
            "The file has one column, but texts and labels need one each. If it has more, separate them by commas."
        )
    return mapping


def open_upload(session: Session, version: DatasetVersion) -> BinaryIO:
    """The raw upload. Raises BlobNotFound where it has been deleted."""
    assert version.upload_blob is not None
    return blob_store().open(tenant_key(session, version.tenant_id), version.upload_blob)


def upload_preview(session: Session, version: DatasetVersion) -> list[list[str]]:
    """The upload's first rows as they are, in the order of its columns. Raises DataError."""
    with open_upload(session, version) as stream:
        return preview(open_table(stream, reading_of(session, version)))


def read_differently(
    session: Session,
    scope: TenantScope,
    version: DatasetVersion,
    *,
    encoding: str,
    delimiter: str,
    header: bool,
) -> None:
    """Have the waiting upload read otherwise than was detected. Raises DataError where it cannot be."""
    source = source_of(session, version)
    assert source.reading is not None
    assert source.mapping is not None
    reading = replace(
        source.reading, encoding=encoding, encoding_assumed=False, delimiter=delimiter, header=header
    )
    with open_upload(session, version) as stream:
        table = open_table(stream, reading)
        mapping = guess(table, source.mapping.task)
    source = replace(source, columns=table.columns, reading=reading, mapping=mapping)
    _move(
        session,
        scope,
        version,
        WAITING,
        DatasetStatus.UPLOADED,
        sealed_source=seal_source(tenant_key(session, version.tenant_id), version, source),
        report=None,
        error=None,
    )


def guess_again(session: Session, version: DatasetVersion, task: Task) -> ColumnMapping:
    """The likeliest mapping of the waiting upload for `task`. Raises DataError where it cannot have one."""
    with open_upload(session, version) as stream:
        return guess(open_table(stream, reading_of(session, version)), task)


def start_check(
    session: Session, scope: TenantScope, version: DatasetVersion, mapping: ColumnMapping
) -> None:
    """Have the upload checked with these columns. Raises DatasetError where it does not wait for that.

    The task of the first version that is checked is the dataset's: all its versions are for that one.
    """
    if len(set(mapping.columns)) < len(mapping.columns):
        raise DatasetError("Choose different columns for text, label and split.", "label")
    scope.require(Permission.DATASETS_WRITE)
    _settle_task(session, version, mapping.task)
    source = replace(source_of(session, version), mapping=mapping)
    _move(
        session,
        scope,
        version,
        WAITING,
        DatasetStatus.CHECKING,
        sealed_source=seal_source(tenant_key(session, version.tenant_id), version, source),
        report=None,
        error=None,
        progress=0.0,
        heartbeat_at=None,
    )
    _ring(session, version)


def _settled_task(session: Session, dataset: Dataset, but: UUID | None = None) -> Task | None:
    """What the dataset's versions, `but` one, are labeled for; None while none has been checked."""
    others = select(DatasetVersion.id).where(
        DatasetVersion.dataset_id == dataset.id, DatasetVersion.status.in_(_OF_A_TASK)
    )
    if but is not None:
        others = others.where(DatasetVersion.id != but)
    return dataset.task if session.scalar(select(others.exists())) else None


def _settle_task(session: Session, version: DatasetVersion, task: Task) -> None:
    dataset = session.get_one(Dataset, version.dataset_id, with_for_update=True, populate_existing=True)
    if _settled_task(session, dataset, version.id) not in (None, task):
        raise DatasetError(
            f"The other versions of this dataset are for {dataset.task.value}. Upload the file as a new dataset.",
            "task",
        )
    dataset.task = task


def accept(session: Session, scope: TenantScope, version: DatasetVersion) -> None:
    """Have the checked upload imported. Raises DatasetError where its report forbids it."""
    if version.report is not None and version.report["blocked"]:
        raise DatasetError("This file cannot be trained on as it is. Mend what the report marks as an error.")
    _move(
        session,
        scope,
        version,
        {DatasetStatus.REVIEW},
        DatasetStatus.IMPORTING,
        error=None,
        progress=0.0,
        heartbeat_at=None,
    )
    _ring(session, version)
    record(session, scope, "dataset.accepted", version)


def discard(session: Session, scope: TenantScope, version: DatasetVersion) -> None:
    """Give up a version that is not ready, and delete its upload. A job at work on it stops by itself."""
    blob = version.upload_blob
    _move(session, scope, version, UNFINISHED, DatasetStatus.DISCARDED, upload_blob=None, heartbeat_at=None)
    forget_corrections(session, version)
    record(session, scope, "dataset.discarded", version)
    if blob is not None:
        delete_after_commit(session, version.tenant_id, blob)


def _move(
    session: Session,
    scope: TenantScope,
    version: DatasetVersion,
    allowed: Collection[DatasetStatus],
    status: DatasetStatus,
    **values: Any,
) -> None:
    """Set the status, and `values` with it, if it is one of `allowed` still. Raises DatasetError."""
    scope.require(Permission.DATASETS_WRITE)
    result = session.execute(
        update(DatasetVersion)
        .where(DatasetVersion.id == version.id, DatasetVersion.status.in_(allowed))
        .values(status=status, **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    session.refresh(version)
    if result.rowcount != 1:
        raise DatasetError(f"This version is {version.status.value} by now. Nothing was changed.")


def _ring(session: Session, version: DatasetVersion) -> None:
    seconds = _CHECK_SECONDS if version.status is DatasetStatus.CHECKING else _IMPORT_SECONDS
    enqueue_after_commit(
        session,
        Queue.DATASETS,
        _TASKS[version.status],
        str(version.tenant_id),
        str(version.id),
        timeout=seconds,
    )


def delete_after_commit(session: Session, tenant_id: UUID, blob: str) -> None:
    """Delete the tenant's blob once `session`'s transaction has committed."""
    key = tenant_key(session, tenant_id)
    after_commit(session, lambda: blob_store().delete(key, blob))


def find_twin(session: Session, version: DatasetVersion) -> DatasetVersion | None:
    """Another ready version of the tenant's with exactly the same rows, the oldest if there are several."""
    if version.digest is None:
        return None
    return session.scalars(
        select(DatasetVersion)
        .where(
            DatasetVersion.digest == version.digest,
            DatasetVersion.id != version.id,
            DatasetVersion.status == DatasetStatus.READY,
        )
        .order_by(DatasetVersion.created_at)
        .limit(1)
    ).one_or_none()


def task_of(session: Session, version: DatasetVersion) -> Task:
    """What the version's rows are labeled for."""
    return session.get_one(Dataset, version.dataset_id).task


def iter_rows(session: Session, version: DatasetVersion) -> Iterator[StoredRow]:
    """The rows of a ready version, in the file's order, streamed; the blob's digest is checked.

    Which kind of row follows from the dataset's task: TextRow, MultiLabelRow, TaggedRow or ChatRow.

    Raises DatasetError where the version is not ready, BlobNotFound or BlobCorrupt where its rows are gone.
    """
    if version.status is not DatasetStatus.READY or version.blob is None:
        raise DatasetError(f"This version is {version.status.value}, not ready.")
    key = tenant_key(session, version.tenant_id)
    task = task_of(session, version)
    with blob_store().open(key, version.blob, version.digest) as lines:
        for line in lines:
            yield decode(task, line)


def requeue_lost(session: Session) -> int:
    """Ring for versions whose job has died, and give up uploads that nobody came back to; how many there were.

    `session` is an operator session. Where the queue is not empty, the versions may merely be waiting.
    """
    discard_abandoned(session)
    if not rq_queue(Queue.DATASETS).is_empty():
        return 0
    lost = session.scalars(
        select(DatasetVersion).where(
            DatasetVersion.status.in_(_TASKS),
            or_(DatasetVersion.heartbeat_at.is_(None), DatasetVersion.heartbeat_at < now() - STALE),
        )
    ).all()
    for version in lost:
        _ring(session, version)
    return len(lost)


def discard_abandoned(session: Session) -> int:
    """Delete raw uploads, which hold personal data, that waited for their owner for two weeks; how many.

    `session` is an operator session.
    """
    abandoned = session.scalars(
        select(DatasetVersion)
        .where(
            DatasetVersion.status.in_(WAITING),
            DatasetVersion.upload_blob.is_not(None),
            DatasetVersion.created_at < now() - _ABANDONED,
        )
        .with_for_update(skip_locked=True)
    ).all()
    for version in abandoned:
        assert version.upload_blob is not None
        delete_after_commit(session, version.tenant_id, version.upload_blob)
        forget_corrections(session, version)
        version.status, version.upload_blob = DatasetStatus.DISCARDED, None
        version.error = f"Nobody accepted the upload within {_ABANDONED.days} days, so it was deleted."
    return len(abandoned)
