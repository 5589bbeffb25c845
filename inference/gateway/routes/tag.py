"""/v1/tag."""

from flask import Blueprint, Response

from core.tenancy import Permission
from inference.gateway import limits
from inference.gateway.access import requires
from inference.gateway.asking import asker
from inference.gateway.bodies import json_response
from inference.gateway.csv_bodies import CSV, TableQuery, csv_response, read_texts, wants_csv
from inference.gateway.describe import describes
from inference.gateway.idempotency import Answer, idempotent
from inference.gateway.predict import tag
from inference.gateway.prediction import Tagging
from inference.gateway.schemas.tag import TagRequest, TagResponse
from inference.gateway.schemas.texts import DIGITS

bp = Blueprint("tag", __name__)

_HEADER = ("index", "start", "end", "label", "score", "text")


@bp.post("/v1/tag")
@requires(Permission.PREDICT)
@describes(
    TagResponse,
    media=(CSV,),
    body=TagRequest,
    body_media=(CSV,),
    query=TableQuery,
    errors=(400, 404, 409, 422, 503),
)
@idempotent
def tag_texts() -> Response:
    """Find the entities in one text or up to 256."""
    body = read_texts(TagRequest)
    limits.reserve_texts(body.input)
    made = Answer(_table if wants_csv() else _object)
    tagging = tag(asker(), body.model, body.input, truncate=body.truncate, finish=made.finish)
    limits.settle(tagging.tokens)
    return made.response


def _object(tagging: Tagging) -> Response:
    return json_response(TagResponse.of(tagging))


def _table(tagging: Tagging) -> Response:
    """A row for each entity."""
    return csv_response(
        _HEADER,
        (
            (index, entity.start, entity.end, entity.label, f"{entity.score:.{DIGITS}f}", entity.text)
            for index, result in enumerate(tagging.results)
            for entity in result.entities
        ),
    )
