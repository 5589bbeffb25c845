"""The models that a tenant's apps may name: the tenant's own, and the base models that all share."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.audit import record
from core.catalogue import BaseModel, list_base_models
from core.clock import now
from core.db import ScopedSession, after_commit
from core.models.fine_tune_jobs import RUNNING_STATUSES, FineTuneJob, JobStatus
from core.models.models import Adapter, Model
from core.storage import blob_store, tenant_key
from core.tenancy import Permission, TenantScope
from inference.gateway.errors import ApiError, ErrorType

_LONGEST_OLD_NAME = 50


def list_own(session: ScopedSession) -> Sequence[tuple[Model, Adapter | None]]:
    """The models of the session's tenant that its scope reaches, with the adapter that answers, by name."""
    rows = session.execute(
        select(Model, Adapter)
        .outerjoin(Adapter, Adapter.id == Model.current_adapter_id)
        .where(Model.deleted_at.is_(None))
        .order_by(Model.name)
    )
    return [(model, adapter) for model, adapter in rows if session.scope.reach.covers(model.id)]


def list_bases(scope: TenantScope) -> Sequence[BaseModel]:
    """The base models that `scope` reaches."""
    return [base for base in list_base_models() if scope.reach.covers(base.id)]


def find_base(name: str) -> BaseModel | None:
    return next((base for base in list_base_models() if base.id == name), None)


def find_own(session: ScopedSession, name: str) -> Model | None:
    """The tenant's model of that name, if the session's scope reaches it."""
    if "\0" in name:  # which Postgres takes in no text, and no name has
        return None
    found = select(Model).where(Model.name == name, Model.deleted_at.is_(None))
    model = session.scalars(found).one_or_none()
    return model if model is not None and session.scope.reach.covers(model.id) else None


def model_not_found() -> ApiError:
    message = "There is no such model. GET /v1/models lists the ones that there are."
    return ApiError(404, ErrorType.NOT_FOUND, "model_not_found", message, param="model")


def delete_model(session: ScopedSession, scope: TenantScope, name: str) -> None:
    """Delete the tenant's model: nobody can call it any more, its weights go, and its name is free again.

    What it was used for stays in the ledger, so its row does too. The caller commits. Raises ApiError where there
    is no such model, where it is a base model, and while a fine-tune of it has not ended.
    """
    scope.require(Permission.MODELS_WRITE)
    if find_base(name) is not None and scope.reach.covers(name):
        message = f"{name!r} is a base model, which all tenants share. Only your own models can be deleted."
        raise ApiError(403, ErrorType.PERMISSION, "base_model", message, param="model")
    model = find_own(session, name)
    if model is None:
        raise model_not_found()
    # Locked: a fine-tune that ends at this moment would make it answer again.
    session.refresh(model, with_for_update=True)
    if _is_training(session, model.id):
        message = f"A fine-tune of {name!r} has not ended. Cancel it first, or wait for it."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "model_in_training", message, param="model")
    record(session, scope, "model.deleted", model, {"name": name})
    model.current_adapter_id = None
    model.deleted_at = now()
    model.name = f"{name[:_LONGEST_OLD_NAME]}~{model.id.hex[:8]}"
    _delete_weights_after_commit(session, scope, model.id)


def _is_training(session: Session, model_id: UUID) -> bool:
    unfinished = select(func.count()).where(
        FineTuneJob.model_id == model_id, FineTuneJob.status.in_((JobStatus.QUEUED, *RUNNING_STATUSES))
    )
    return bool(session.scalar(unfinished))


def _delete_weights_after_commit(session: Session, scope: TenantScope, model_id: UUID) -> None:
    key = tenant_key(session, scope.tenant_id)
    blobs = session.scalars(select(Adapter.blob).where(Adapter.model_id == model_id)).all()

    def delete() -> None:
        for blob in blobs:
            blob_store().delete(key, blob)

    after_commit(session, delete)
