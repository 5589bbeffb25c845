"""From a file to a fine-tune job: what a worker of the datasets queue does for each request of training/requests.py.

Each step is taken by what the rows say, and leaves them so that the next follows. A worker that is killed is
followed by another at the same step; two at once take each step once.
"""

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import BinaryIO
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.db import tenant_session
from core.file_names import filename_of
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.files import ApiFile
from core.models.fine_tune_requests import FineTuneRequest, RequestStatus
from core.privacy.policies import current_policy
from core.storage import Blob, BlobNotFound, TenantKey, blob_store, tenant_key
from core.tenancy import TenantScope, system_scope
from training import jobs
from training.data import datasets, tasks
from training.data.columns import Split
from training.data.datasets import DatasetError
from training.data.errors import DataError
from training.data.finding import Severity
from training.data.personal import for_display
from training.data.table import MAX_LINE_CHARACTERS
from training.errors import JobError
from training.recipe.settings import FineTuneSettings
from training.requests import fail

log = structlog.get_logger(__name__)

_LONGEST_STEM = 60
_SPLIT = "split"
_OUR_FAULT = (
    "Something went wrong on our side, not with your file. Try again; if it happens again, tell support."
)
_FILE_GONE = "A file was deleted before its rows had been read. Upload it again, and start another fine-tune."


def prepare_fine_tune(tenant_id: str, request_id: str) -> None:
    """Take the request as far as it goes now; RQ's entry point."""
    scope = system_scope(UUID(tenant_id), "worker")
    context = log.bind(tenant_id=tenant_id, request_id=request_id)
    try:
        while _step(scope, UUID(request_id)):
            pass
    except OperationalError:
        raise  # without a database nothing can be noted; the clock rings again
    except Exception:
        context.exception("fine_tune_request_failed")
        _give_up(scope, UUID(request_id), _OUR_FAULT)


def _step(scope: TenantScope, request_id: UUID) -> bool:
    """Take one step; False where nothing is left to do, or another worker is at it."""
    with tenant_session(scope) as session:
        request = session.get(FineTuneRequest, request_id)
        if request is None or request.status is not RequestStatus.VALIDATING:
            return False
        version = (
            session.get(DatasetVersion, request.dataset_version_id) if request.dataset_version_id else None
        )
    if version is None:
        return _make_dataset(scope, request_id)
    match version.status:
        case DatasetStatus.UPLOADED:
            return _check(scope, request, version)
        case DatasetStatus.CHECKING:
            tasks.check_dataset(str(scope.tenant_id), str(version.id))
            return _has_left(scope, version)
        case DatasetStatus.REVIEW:
            return _accept(scope, request_id, version)
        case DatasetStatus.IMPORTING:
            tasks.import_dataset(str(scope.tenant_id), str(version.id))
            return _has_left(scope, version)
        case DatasetStatus.READY:
            return _launch(scope, request_id, version)
        case DatasetStatus.FAILED:
            return _give_up(scope, request_id, version.error or _OUR_FAULT)
        case DatasetStatus.DISCARDED:
            return _give_up(scope, request_id, "Its dataset was discarded.")


def _has_left(scope: TenantScope, version: DatasetVersion) -> bool:
    """Whether the version's status is another by now; if not, another worker is at it."""
    with tenant_session(scope) as session:
        return session.get_one(DatasetVersion, version.id).status is not version.status


def _make_dataset(scope: TenantScope, request_id: UUID) -> bool:
    """Make a version of the file's dataset of the request's files."""
    with tenant_session(scope) as session:
        # Locked while the file is copied, which takes seconds, so that no other worker copies it too.
        request = session.get(
            FineTuneRequest, request_id, with_for_update={"skip_locked": True}, populate_existing=True
        )
        if request is None or request.status is not RequestStatus.VALIDATING:
            return False
        file = session.get_one(ApiFile, request.training_file_id)
        try:
            upload = _copy(session, scope, request, file)
            dataset = _dataset(session, scope, file)
            filename = filename_of(tenant_key(session, scope.tenant_id), file)
            datasets.add_version(session, scope, dataset, request.id, filename, upload)
        except BlobNotFound:
            fail(request, _FILE_GONE)
        except DataError as error:
            datasets.delete_after_commit(session, scope.tenant_id, datasets.upload_name(request.id))
            fail(request, str(error))
        else:
            request.dataset_version_id = request.id
        session.commit()
    return True


def _dataset(session: Session, scope: TenantScope, file: ApiFile) -> Dataset:
    """The dataset of all fine-tunes on `file`, named like that, but for what is personal in the file's name."""
    key = tenant_key(session, scope.tenant_id)
    protector = for_display(key, current_policy(session, scope.tenant_id))
    (protected,) = protector.texts([PurePath(filename_of(key, file)).stem])
    stem = " ".join(protected[:_LONGEST_STEM].split())
    name = f"{stem} (file-{file.id.hex[:8]})".strip()
    found = session.scalars(select(Dataset).where(Dataset.name == name)).one_or_none()
    return found or datasets.create_dataset(session, scope, name)


def _copy(session: Session, scope: TenantScope, request: FineTuneRequest, file: ApiFile) -> Blob:
    """The files' rows as the upload that a dataset version is made from, which deletes it once it has its rows.

    Rows of a validation file are in the split validation, the others in train or wherever they say.
    """
    key = tenant_key(session, scope.tenant_id)
    name = datasets.upload_name(request.id)
    with blob_store().open_writer(key, name) as writer, _open(key, file) as stream:
        if request.validation_file_id is None:
            while piece := stream.read(1 << 20):
                writer.write(piece)
        else:
            validation = session.get_one(ApiFile, request.validation_file_id)
            for line in _with_split(stream, Split.TRAIN):
                writer.write(line)
            with _open(key, validation) as validation_stream:
                for line in _with_split(validation_stream, Split.VALIDATION, own=False):
                    writer.write(line)
        return writer.commit()


def _open(key: TenantKey, file: ApiFile) -> BinaryIO:
    return blob_store().open(key, file.blob, file.digest)


def _with_split(stream: BinaryIO, split: Split, *, own: bool = True) -> Iterator[bytes]:
    """The lines of a JSON Lines file, each saying that it is in `split` unless it says so of its `own`.

    A line that is no object stays as it is: the dataset's check says what is wrong with it.
    """
    while line := stream.readline(MAX_LINE_CHARACTERS * 4):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict) and not (own and _SPLIT in row):
            yield json.dumps({**row, _SPLIT: split.value}).encode() + b"\n"
        else:
            yield line.rstrip(b"\n") + b"\n"


def _check(scope: TenantScope, request: FineTuneRequest, version: DatasetVersion) -> bool:
    """Have the version checked, with the columns that its task asks for."""
    with tenant_session(scope) as session:
        version = session.get_one(DatasetVersion, version.id)
        try:
            mapping = datasets.guess_again(session, version, request.task)
            datasets.start_check(session, scope, version, mapping)
        except (DataError, DatasetError) as error:
            session.rollback()
            return _has_left(scope, version) or _give_up(scope, request.id, str(error))
        session.commit()
    return True


def _accept(scope: TenantScope, request_id: UUID, version: DatasetVersion) -> bool:
    """Accept the version in its owner's place, unless its report forbids it."""
    errors = [
        finding for finding in (version.report or {})["findings"] if finding["severity"] == Severity.ERROR
    ]
    if errors:
        message = " ".join(f"{finding['title']}. {finding['action']}" for finding in errors)
        return _give_up(scope, request_id, message)
    with tenant_session(scope) as session:
        version = session.get_one(DatasetVersion, version.id)
        try:
            datasets.accept(session, scope, version)
        except DatasetError as error:
            session.rollback()
            return _has_left(scope, version) or _give_up(scope, request_id, str(error))
        session.commit()
    return True


def _launch(scope: TenantScope, request_id: UUID, version: DatasetVersion) -> bool:
    """Launch the job: the request's row is locked, so that there is one however many workers try."""
    with tenant_session(scope) as session:
        request = session.get_one(FineTuneRequest, request_id, with_for_update=True, populate_existing=True)
        if request.status is not RequestStatus.VALIDATING:
            return False
        try:
            job = jobs.launch(
                session,
                scope,
                version=session.get_one(DatasetVersion, version.id),
                model_name=request.model_name,
                settings=FineTuneSettings.from_json(request.settings),
                seed=request.seed,
            )
        except JobError as error:
            session.rollback()
            return _give_up(scope, request_id, str(error))
        request.job_id, request.status = job.id, RequestStatus.LAUNCHED
        session.commit()
    return False


def _give_up(scope: TenantScope, request_id: UUID, message: str) -> bool:
    """Fail the request; False, since nothing is left to do."""
    with tenant_session(scope) as session:
        request = session.get_one(FineTuneRequest, request_id, with_for_update=True, populate_existing=True)
        if request.status is RequestStatus.VALIDATING:
            fail(request, message)
            session.commit()
    return False
