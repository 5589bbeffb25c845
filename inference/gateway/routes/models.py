"""/v1/models."""

from flask import Blueprint, Response

from core.db import tenant_session
from core.models.models import Adapter
from core.tenancy import Permission
from inference.gateway.access import requires
from inference.gateway.auth import caller
from inference.gateway.bodies import json_response
from inference.gateway.describe import describes
from inference.gateway.models import (
    delete_model,
    find_base,
    find_own,
    list_bases,
    list_own,
    model_not_found,
)
from inference.gateway.schemas.models import ModelEntry, ModelList
from inference.gateway.schemas.paging import Deleted

bp = Blueprint("models", __name__)


@bp.get("/v1/models")
@requires(Permission.MODELS_READ)
@describes(ModelList)
def list_models() -> Response:
    """List the tenant's models, by name, and then the base models; of a key that is limited to models, those."""
    scope = caller().scope
    with tenant_session(scope) as session:
        own = [ModelEntry.own(model, adapter) for model, adapter in list_own(session)]
    return json_response(ModelList(data=[*own, *map(ModelEntry.base, list_bases(scope))]))


# Ids of other makers' models hold colons and slashes; asking for one is a 404 of ours.
@bp.get("/v1/models/<path:model>")
@requires(Permission.MODELS_READ)
@describes(ModelEntry)
def retrieve_model(model: str) -> Response:
    """What is known of a model."""
    scope = caller().scope
    if (base := find_base(model)) is not None and scope.reach.covers(base.id):
        return json_response(ModelEntry.base(base))
    with tenant_session(scope) as session:
        own = find_own(session, model)
        if own is None:
            raise model_not_found()
        adapter = session.get(Adapter, own.current_adapter_id) if own.current_adapter_id else None
        return json_response(ModelEntry.own(own, adapter))


@bp.delete("/v1/models/<path:model>")
@requires(Permission.MODELS_WRITE)
@describes(Deleted, errors=(400,))
def remove_model(model: str) -> Response:
    """Delete one of the tenant's own models, all its versions with it. Base models are everybody's, and stay."""
    scope = caller().scope
    with tenant_session(scope) as session:
        delete_model(session, scope, model)
        session.commit()
    return json_response(Deleted(id=model, object="model"))
