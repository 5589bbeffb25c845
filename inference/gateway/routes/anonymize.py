"""/v1/anonymize."""

from flask import Blueprint, Response

from core.tenancy import Permission
from inference.gateway import limits
from inference.gateway.access import requires
from inference.gateway.anonymize import Anonymized, anonymize
from inference.gateway.asking import asker
from inference.gateway.bodies import json_response, read_body
from inference.gateway.describe import describes
from inference.gateway.idempotency import Answer, idempotent
from inference.gateway.schemas.anonymize import AnonymizeRequest, AnonymizeResponse

bp = Blueprint("anonymize", __name__)


@bp.post("/v1/anonymize")
@requires(Permission.PREDICT)
@describes(AnonymizeResponse, body=AnonymizeRequest, errors=(400, 404, 409, 422))
@idempotent
def anonymize_texts() -> Response:
    """Replace the personal data in one text or up to 256, as your privacy policy says.

    The values that were replaced come back beside the texts.
    """
    body = read_body(AnonymizeRequest)
    limits.reserve_texts(body.input)
    made = Answer[Anonymized](lambda anonymized: json_response(AnonymizeResponse.of(anonymized)))
    anonymized = anonymize(asker(), body.model, body.input, finish=made.finish)
    limits.settle(anonymized.tokens)
    return made.response
