"""The API's routes."""

from flask import Blueprint, Response
from sqlalchemy import select, text

from core.db import app_engine, tenant_session
from core.models.models import Adapter, Model
from core.models.usage import UsageSource
from core.tenancy import Permission
from inference.gateway.access import public, requires
from inference.gateway.auth import caller
from inference.gateway.predict import classify
from inference.gateway.request_id import request_id
from inference.gateway.schemas import (
    ClassifyRequest,
    ClassifyResponse,
    ModelEntry,
    ModelList,
    Schema,
    read_body,
)

bp = Blueprint("api", __name__)


@bp.post("/v1/classify")
@requires(Permission.PREDICT)
def classify_texts() -> Response:
    """Labels with scores for one text or up to 256."""
    body = read_body(ClassifyRequest)
    key = caller()
    prediction = classify(
        key.scope,
        body.model,
        body.input,
        source=UsageSource.API,
        api_key_id=key.id,
        request_id=request_id(),
        truncate=body.truncate,
    )
    return _json(ClassifyResponse.of(prediction))


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
    return _json(ModelList(data=[_entry(model, adapter) for model, adapter in rows]))


@bp.get("/healthz")
@public
def healthz() -> Response:
    """200 where the database answers."""
    with app_engine().connect() as connection:
        connection.execute(text("SELECT 1"))
    return Response('{"status":"ok"}', mimetype="application/json")


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


def _json(body: Schema) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")
