"""/v1/classify."""

from flask import Blueprint, Response

from core.tenancy import Permission
from inference.gateway import limits
from inference.gateway.access import requires
from inference.gateway.asking import asker
from inference.gateway.bodies import json_response, read_body
from inference.gateway.predict import classify
from inference.gateway.schemas.classify import ClassifyRequest, ClassifyResponse

bp = Blueprint("classify", __name__)


@bp.post("/v1/classify")
@requires(Permission.PREDICT)
def classify_texts() -> Response:
    """Labels with scores for one text or up to 256."""
    body = read_body(ClassifyRequest)
    limits.reserve_texts(body.input)
    prediction = classify(asker(), body.model, body.input, truncate=body.truncate)
    limits.settle(prediction.tokens)
    return json_response(ClassifyResponse.of(prediction))
