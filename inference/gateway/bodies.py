"""Bodies: what comes in is checked against a schema, and what goes out is made of one."""

from typing import TypeVar

from flask import Response, request
from pydantic import BaseModel, ValidationError

from inference.gateway.errors import ApiError, ErrorType

Schema = TypeVar("Schema", bound=BaseModel)


def read_body(schema: type[Schema]) -> Schema:
    """The request's body, whatever content type it claims. Raises ApiError naming the first wrong field."""
    try:
        return schema.model_validate_json(request.get_data())
    except ValidationError as error:
        raise invalid_body(error) from None


def json_response(body: BaseModel) -> Response:
    """`body` as the answer."""
    return Response(body.model_dump_json(), mimetype="application/json")


def invalid_body(error: ValidationError) -> ApiError:
    """The first wrong field of what came in, in words."""
    # Never the offending value itself: it may be a tenant's text, and answers end up in logs.
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "json_invalid":
            message = f"The body is not JSON: {first['msg'].removeprefix('Invalid JSON: ')}."
        case "missing":
            message = f"{field!r} is missing."
        case "extra_forbidden":
            message = f"{field!r} is not a field of this request."
        case _:
            detail = first["msg"].removeprefix("Value error, ")
            message = f"{field!r} is wrong: {detail}." if field else f"The body is wrong: {detail}."
    return ApiError(400, ErrorType.INVALID_REQUEST, "invalid_body", message, param=field or None)
