"""Promotion: which of a model's adapters answers calls."""

from sqlalchemy.orm import Session

from core import audit
from core.models.models import Adapter, Model
from core.tenancy import Permission, TenantScope

_UNSTATED = "Its evaluation does not allow it to be promoted."


class NotPromotable(Exception):
    """The adapter may not answer calls; the message says why, and is fit to show."""


def find_obstacle(adapter: Adapter) -> str | None:
    """Why `adapter` may not be promoted, in a sentence; None where it may."""
    if adapter.promotable:
        return None
    reason: str | None = adapter.evaluation.get("promotion", {}).get("reason")
    return reason or _UNSTATED


def promote(session: Session, scope: TenantScope, adapter: Adapter) -> Model:
    """Have `adapter` answer its model's calls from now on. The caller commits.

    Raises NotPromotable, and PermissionDenied for an actor who may not change models.
    """
    scope.require(Permission.MODELS_WRITE)
    if obstacle := find_obstacle(adapter):
        raise NotPromotable(obstacle)
    # Locked: a fine-tune that ends at this moment looks whether the model has an adapter already.
    model = session.get_one(Model, adapter.model_id, with_for_update=True, populate_existing=True)
    if model.deleted_at is not None:
        raise NotPromotable("This model was deleted.")
    if model.current_adapter_id != adapter.id:
        before = model.current_adapter_id
        model.current_adapter_id = adapter.id
        detail = {
            "version": adapter.version,
            "adapter": str(adapter.id),
            "before": str(before) if before else None,
        }
        audit.record(session, scope, "model.promoted", model, detail)
    return model
