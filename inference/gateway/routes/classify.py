"""/v1/classify."""

from flask import Blueprint, Response

from core.tenancy import Permission
from inference.gateway import limits
from inference.gateway.access import requires
from inference.gateway.asking import asker
from inference.gateway.bodies import json_response
from inference.gateway.csv_bodies import CSV, TableQuery, csv_response, read_texts, wants_csv
from inference.gateway.describe import describes
from inference.gateway.idempotency import Answer, idempotent
from inference.gateway.predict import classify
from inference.gateway.prediction import Prediction
from inference.gateway.schemas.classify import ClassifyRequest, ClassifyResponse
from inference.gateway.schemas.texts import DIGITS

bp = Blueprint("classify", __name__)

_HEADER = ("index", "label", "score", "labels", "tokens", "truncated")


@bp.post("/v1/classify")
@requires(Permission.PREDICT)
@describes(
    ClassifyResponse,
    media=(CSV,),
    body=ClassifyRequest,
    body_media=(CSV,),
    query=TableQuery,
    errors=(400, 404, 409, 422, 503),
)
@idempotent
def classify_texts() -> Response:
    """Label one text or up to 256, by a model of one label a text or of several."""
    body = read_texts(ClassifyRequest)
    limits.reserve_texts(body.input)
    made = Answer(_table if wants_csv() else _object)
    prediction = classify(asker(), body.model, body.input, truncate=body.truncate, finish=made.finish)
    limits.settle(prediction.tokens)
    return made.response


def _object(prediction: Prediction) -> Response:
    return json_response(ClassifyResponse.of(prediction))


def _table(prediction: Prediction) -> Response:
    return csv_response(
        _HEADER,
        (
            (
                index,
                result.label,
                f"{result.score:.{DIGITS}f}",
                ";".join(result.labels),
                result.tokens,
                str(result.truncated).lower(),
            )
            for index, result in enumerate(prediction.results)
        ),
    )
