"""/v1/models."""

from flask import Blueprint, Response
from sqlalchemy import select

from core.db import tenant_session
from core.models.models import Adapter, Model
from core.tenancy import Permission
from inference.gateway.access import requires
from inference.gateway.auth import caller
from inference.gateway.bodies import json_response
from inference.gateway.schemas.models import ModelEntry, ModelList

bp = Blueprint("models", __name__)


@bp.get("/v1/models")
@requires(Permission.MODELS_READ)
def list_models() -> Response:
    """The tenant's models, by name."""
    with tenant_session(caller().scope) as session:
        rows = session.execute(
            select(Model, Adapter)
            .outerjoin(Adapter, Adapter.id == Model.current_adapter_id)
            .order_by(Model.name)
        ).all()
    return json_response(ModelList(data=[_entry(model, adapter) for model, adapter in rows]))


def _entry(model: Model, adapter: Adapter | None) -> ModelEntry:
    return ModelEntry(
        id=model.name,
        created=int(model.created_at.timestamp()),
        task=model.task,
        base_model=model.base_model,
        ready=adapter is not None,
        version=adapter.version if adapter else None,
        labels=adapter.labels if adapter else None,
    )
