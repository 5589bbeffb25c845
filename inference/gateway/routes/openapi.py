"""/v1/openapi.json."""

import json
from functools import cache

from flask import Blueprint, Flask, Response, current_app
from pydantic import BaseModel, ConfigDict

from inference.gateway import openapi
from inference.gateway.access import public
from inference.gateway.describe import describes

bp = Blueprint("openapi", __name__)


class OpenApiDocument(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


@bp.get(openapi.PATH)
@public
@describes(OpenApiDocument)
def openapi_document() -> Response:
    """This document."""
    return Response(_document(current_app._get_current_object()), mimetype="application/json")  # type: ignore[attr-defined]


@cache
def _document(app: Flask) -> str:
    return json.dumps(openapi.document(app))
