"""/v1/classify."""

from flask import Blueprint, Response

from core.models.usage import UsageSource
from core.tenancy import Permission
from inference.gateway.access import requires
from inference.gateway.auth import caller
from inference.gateway.bodies import json_response, read_body
from inference.gateway.predict import classify
from inference.gateway.request_id import request_id
from inference.gateway.schemas.classify import ClassifyRequest, ClassifyResponse

bp = Blueprint("classify", __name__)


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
    return json_response(ClassifyResponse.of(prediction))
