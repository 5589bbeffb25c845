"""Fine-tune jobs as people ask for them: launch one, cancel one. What a worker does with it is in training/runner.py."""

import re
import secrets
from dataclasses import asdict

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from billing.reservations import BudgetReached, Work, reserve_in
from billing.standing import PaymentRequired, require_payment
from core.audit import record
from core.catalogue import BaseModel, Task, default_base_model
from core.clock import now
from core.models.datasets import DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.models.models import Model
from core.models.usage import UsageKind
from core.tenancy import Permission, TenantScope
from training import endings
from training.doorbell import ring_after_commit
from training.errors import JobError
from training.estimates import Estimate
from training.inputs import check_method, check_version
from training.job_log import note
from training.recipe.settings import FineTuneSettings

MOST_QUEUED = 100
"""As many of a tenant's jobs may wait; a mistake in somebody's script makes no more of them."""

HIGHEST_SEED = 2**31 - 1

_MODEL_NAME = re.compile(r"[a-z0-9_-]{1,64}")


def launch(
    session: Session,
    scope: TenantScope,
    *,
    version: DatasetVersion,
    model_name: str,
    settings: FineTuneSettings,
    seed: int | None = None,
    estimate: Estimate | None = None,
) -> FineTuneJob:
    """Queue a fine-tune on `version` that makes the next version of the model `model_name`. The caller commits.

    A model of a new name is made. `seed` is chosen where it is None. Raises PermissionDenied, and JobError with
    one of the fields version, method, model_name and seed, or none.
    """
    scope.require(Permission.JOBS_WRITE)
    _check_payment(session, scope)
    task = check_version(session, version)
    check_method(task, settings)
    base = default_base_model(task)
    seed = checked_seed(seed)
    _check_room(session)
    model = _model(session, scope, model_name, task, base)
    job = FineTuneJob(
        tenant_id=scope.tenant_id,
        model_id=model.id,
        dataset_version_id=version.id,
        base_model=base.id,
        method=settings.method,
        settings=settings.to_json(),
        seed=seed,
        status=JobStatus.QUEUED,
        estimate=asdict(estimate) if estimate else None,
        created_by_id=scope.actor.id,
    )
    session.add(job)
    session.flush()
    _reserve(session, job, estimate)
    note(session, job.tenant_id, job.id, "Queued.")
    record(
        session, scope, "fine_tune.launched", job, {"model": model.name, "dataset_version": str(version.id)}
    )
    ring_after_commit(session)
    return job


def checked_seed(seed: int | None) -> int:
    """`seed`, or one that is chosen where it is None. Raises JobError."""
    if seed is None:
        return secrets.randbelow(HIGHEST_SEED + 1)
    if not 0 <= seed <= HIGHEST_SEED:
        raise JobError("seed", f"Enter a whole number from 0 to {HIGHEST_SEED}, or leave it empty.")
    return seed


def check_model(session: Session, name: str, task: Task, base: BaseModel) -> Model | None:
    """The tenant's model `name`, if there is one. Raises JobError where it cannot be trained for `task` on `base`."""
    if not _MODEL_NAME.fullmatch(name):
        raise JobError("model_name", "Use 1 to 64 lower-case letters, digits, hyphens and underscores.")
    model = _find_model(session, name)
    if model is not None:
        _check_kind(model, task, base)
    return model


def cancel(session: Session, scope: TenantScope, job: FineTuneJob) -> None:
    """Cancel a job. The caller commits.

    One that waits is cancelled at once; the worker of a running one stops within 5 seconds of the commit, and
    its last checkpoint is kept. Raises PermissionDenied, and JobError where the job has ended.
    """
    scope.require(Permission.JOBS_WRITE)
    session.refresh(job, with_for_update=True)
    if job.status.is_final:
        raise JobError("", f"This fine-tune has {_ENDED[job.status]} already, so there is nothing to cancel.")
    if job.cancel_requested_at is not None:
        return
    job.cancel_requested_at = now()
    if job.status is JobStatus.QUEUED:
        endings.cancel(session, scope, job)
    else:
        note(session, job.tenant_id, job.id, "Cancelling.")
    record(session, scope, "fine_tune.cancelled", job)


_ENDED = {
    JobStatus.SUCCEEDED: "finished",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "been cancelled",
}


def _check_room(session: Session) -> None:
    queued = session.scalar(select(func.count()).where(FineTuneJob.status == JobStatus.QUEUED)) or 0
    if queued >= MOST_QUEUED:
        raise JobError(
            "",
            f"{queued} of your fine-tunes are waiting already. Cancel some, or wait until one has started.",
        )


def _check_payment(session: Session, scope: TenantScope) -> None:
    try:
        require_payment(session, scope.tenant_id)
    except PaymentRequired:
        raise JobError(
            "", "A payment is missing, so no fine-tune can be launched until it has come. See 'Invoices'."
        ) from None


def _reserve(session: Session, job: FineTuneJob, estimate: Estimate | None) -> None:
    """Take room in the tenant's budget for what training is thought to read; when it begins, it knows exactly."""
    if estimate is None or estimate.error is not None:
        return
    try:
        reserve_in(session, job.tenant_id, Work(str(job.id), {UsageKind.TRAINING: estimate.training_tokens}))
    except BudgetReached as reached:
        raise JobError("", str(reached)) from None


def _model(session: Session, scope: TenantScope, name: str, task: Task, base: BaseModel) -> Model:
    """The tenant's model `name`, made where there is none. Raises JobError where it cannot be trained like this."""
    model = check_model(session, name, task, base) or _make_model(session, scope, name, task, base)
    _check_kind(model, task, base)
    return model


def _check_kind(model: Model, task: Task, base: BaseModel) -> None:
    if (model.task, model.base_model) != (task, base.id):
        raise JobError(
            "model_name",
            f"“{model.name}” is a model for {model.task.value} on {model.base_model}. Choose another name.",
        )


def _find_model(session: Session, name: str) -> Model | None:
    # Locked against being deleted before there is a job of it.
    return session.scalars(select(Model).where(Model.name == name).with_for_update(read=True)).one_or_none()


def _make_model(session: Session, scope: TenantScope, name: str, task: Task, base: BaseModel) -> Model:
    model = Model(
        tenant_id=scope.tenant_id, name=name, task=task, base_model=base.id, created_by_id=scope.actor.id
    )
    try:
        with session.begin_nested():
            session.add(model)
    except IntegrityError:
        # Somebody else has just made it.
        return session.scalars(select(Model).where(Model.name == name)).one()
    record(session, scope, "model.created", model, {"name": name})
    return model
