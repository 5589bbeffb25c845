"""/v1/embeddings."""

from flask import Blueprint, Response

from core.tenancy import Permission
from inference.gateway import limits
from inference.gateway.access import requires
from inference.gateway.asking import asker
from inference.gateway.bodies import json_response, read_body
from inference.gateway.describe import describes
from inference.gateway.idempotency import Answer, idempotent
from inference.gateway.predict import embed
from inference.gateway.prediction import Embeddings
from inference.gateway.schemas.embeddings import EmbeddingsRequest, EmbeddingsResponse

bp = Blueprint("embeddings", __name__)


@bp.post("/v1/embeddings")
@requires(Permission.PREDICT)
@describes(EmbeddingsResponse, body=EmbeddingsRequest, errors=(400, 404, 409, 422, 503))
@idempotent
def create_embeddings() -> Response:
    """Make vectors of one text or up to 256, by an encoder of the catalogue."""
    body = read_body(EmbeddingsRequest)
    limits.reserve_texts(body.input)
    in_base64 = body.encoding_format == "base64"

    def respond(embeddings: Embeddings) -> Response:
        return json_response(EmbeddingsResponse.of(embeddings, in_base64=in_base64))

    made = Answer(respond)
    embeddings = embed(asker(), body.model, body.input, finish=made.finish)
    limits.settle(embeddings.tokens)
    return made.response
