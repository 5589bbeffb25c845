"""Fine-tunes asked for with a file: remembered here until training/preparing.py has made a dataset and a job of it."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from core.audit import record
from core.catalogue import BaseModel, Task
from core.clock import now
from core.models.datasets import DatasetStatus, DatasetVersion
from core.models.files import ApiFile
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.models.fine_tune_requests import FineTuneRequest, RequestStatus
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.tenancy import Permission, TenantScope
from training import jobs
from training.data import datasets
from training.data.claims import STALE
from training.data.datasets import DatasetError
from training.errors import JobError
from training.recipe.settings import FineTuneSettings

PREPARE = "training.preparing.prepare_fine_tune"
_PREPARE_SECONDS = 54 * 3600  # a check's and an import's

SAME_WITHIN = timedelta(minutes=10)
"""A request that is repeated within this time, while the first has not ended, is the first: clients send again what
they got no answer to, and one click must not be paid for twice."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:fingerprint, 0))")
_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `model_name` None makes one up; `hyperparameters` are the asker's own words for `settings`."""

    training_file: ApiFile
    validation_file: ApiFile | None
    task: Task
    base: BaseModel
    model_name: str | None
    settings: FineTuneSettings
    hyperparameters: Mapping[str, Any]
    seed: int | None
    metadata: Mapping[str, str] | None

    def fingerprint(self, tenant_id: UUID) -> str:
        """Equal for two requests of a tenant that ask for the same."""
        parts = [
            str(tenant_id),
            str(self.training_file.id),
            str(self.validation_file.id if self.validation_file else None),
            self.base.id,
            self.model_name,
            self.settings.to_json(),
            self.seed,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def request_fine_tune(
    session: Session, scope: TenantScope, wanted: Wanted, api_key_id: UUID | None
) -> FineTuneRequest:
    """The request for what is `wanted`: a new one, or the same that was made just before. The caller commits.

    Raises PermissionDenied, and JobError with the field model_name or seed.
    """
    scope.require(Permission.JOBS_WRITE)
    scope.require(Permission.DATASETS_WRITE)
    fingerprint = wanted.fingerprint(scope.tenant_id)
    # Two at once would each find that there is none yet.
    session.execute(_LOCK, {"fingerprint": fingerprint})
    same = _find_same(session, fingerprint)
    if same is not None:
        return same
    if wanted.model_name is not None:
        jobs.check_model(session, wanted.model_name, wanted.task, wanted.base)
    request = FineTuneRequest(
        id=uuid4(),
        tenant_id=scope.tenant_id,
        training_file_id=wanted.training_file.id,
        validation_file_id=wanted.validation_file.id if wanted.validation_file else None,
        task=wanted.task,
        base_model=wanted.base.id,
        model_name=wanted.model_name or f"ft-{secrets.token_hex(4)}",
        hyperparameters=dict(wanted.hyperparameters),
        settings=wanted.settings.to_json(),
        seed=jobs.checked_seed(wanted.seed),
        client_metadata=None if wanted.metadata is None else dict(wanted.metadata),
        fingerprint=fingerprint,
        api_key_id=api_key_id,
    )
    session.add(request)
    session.flush()
    record(session, scope, "fine_tune.requested", request, {"model": request.model_name})
    _ring_after_commit(session, request)
    return request


def _find_same(session: Session, fingerprint: str) -> FineTuneRequest | None:
    return session.scalars(
        select(FineTuneRequest)
        .outerjoin(FineTuneJob, FineTuneJob.id == FineTuneRequest.job_id)
        .where(
            FineTuneRequest.fingerprint == fingerprint,
            FineTuneRequest.created_at > now() - SAME_WITHIN,
            or_(
                FineTuneRequest.status == RequestStatus.VALIDATING,
                (FineTuneRequest.status == RequestStatus.LAUNCHED) & FineTuneJob.status.not_in(_ENDED),
            ),
        )
        .order_by(FineTuneRequest.created_at.desc())
        .limit(1)
    ).one_or_none()


def cancel(session: Session, scope: TenantScope, request: FineTuneRequest) -> None:
    """Cancel the request, or its job where there is one. The caller commits.

    Raises PermissionDenied, and JobError where it has ended already.
    """
    scope.require(Permission.JOBS_WRITE)
    session.refresh(request, with_for_update=True)
    if request.job_id is not None:
        jobs.cancel(session, scope, session.get_one(FineTuneJob, request.job_id))
        return
    if request.status is not RequestStatus.VALIDATING:
        raise JobError(
            "", f"This fine-tune has {request.status.value} already, so there is nothing to cancel."
        )
    request.status, request.finished_at = RequestStatus.CANCELLED, now()
    record(session, scope, "fine_tune.cancelled", request)
    if request.dataset_version_id is not None:
        with suppress(DatasetError):  # it is ready, and stays
            datasets.discard(session, scope, session.get_one(DatasetVersion, request.dataset_version_id))


def fail(request: FineTuneRequest, message: str) -> None:
    """Give the request up; `message` says why, and is fit to show. The caller holds the row locked, and commits."""
    request.status, request.error, request.finished_at = RequestStatus.FAILED, message, now()


def requeue_lost(session: Session) -> int:
    """Ring for requests that no worker is at; how many there were. `session` is an operator session.

    Where the queue is not empty, they may merely be waiting.
    """
    if not rq_queue(Queue.DATASETS).is_empty():
        return 0
    in_work = DatasetVersion.status.in_((DatasetStatus.CHECKING, DatasetStatus.IMPORTING)) & (
        DatasetVersion.heartbeat_at > now() - STALE
    )
    lost = session.scalars(
        select(FineTuneRequest)
        .outerjoin(DatasetVersion, DatasetVersion.id == FineTuneRequest.dataset_version_id)
        .where(FineTuneRequest.status == RequestStatus.VALIDATING, func.coalesce(in_work, False).is_(False))
    ).all()
    for request in lost:
        _ring_after_commit(session, request)
    return len(lost)


def _ring_after_commit(session: Session, request: FineTuneRequest) -> None:
    enqueue_after_commit(
        session,
        Queue.DATASETS,
        PREPARE,
        str(request.tenant_id),
        str(request.id),
        timeout=_PREPARE_SECONDS,
    )
