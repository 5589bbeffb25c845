"""The API's bodies: what comes in is checked against these, and what goes out is made of them."""

from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.prediction import Prediction

Schema = TypeVar("Schema", bound=BaseModel)

_DIGITS = 6


class ClassifyRequest(BaseModel):
    """`input` is one text or a list of them; `truncate` cuts texts that are longer than the model reads."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str = Field(min_length=1, max_length=64)
    input: list[str]
    truncate: bool = False

    @field_validator("input", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list):
            raise ValueError("must be a string or a list of strings")
        for index, text in enumerate(value):
            if not isinstance(text, str):
                raise ValueError(f"must be a string or a list of strings; item {index} is neither")
        return value


class LabelScore(BaseModel):
    label: str
    score: float


class ClassifyResult(BaseModel):
    """One text's answer: its most likely label, and every label with its probability, the likeliest
    first."""

    index: int
    label: str
    score: float
    scores: list[LabelScore]
    tokens: int
    truncated: bool


class Usage(BaseModel):
    inputs: int
    tokens: int


class ClassifyResponse(BaseModel):
    request_id: str
    model: str
    version: int
    results: list[ClassifyResult]
    usage: Usage

    @classmethod
    def of(cls, prediction: Prediction) -> "ClassifyResponse":
        results = [
            ClassifyResult(
                index=index,
                label=result.label,
                score=round(result.score, _DIGITS),
                scores=[LabelScore(label=s.label, score=round(s.score, _DIGITS)) for s in result.scores],
                tokens=result.tokens,
                truncated=result.truncated,
            )
            for index, result in enumerate(prediction.results)
        ]
        return cls(
            request_id=prediction.request_id,
            model=prediction.model,
            version=prediction.version,
            results=results,
            usage=Usage(inputs=len(results), tokens=prediction.tokens),
        )


class ModelEntry(BaseModel):
    """A model of the tenant's. `created` is in seconds since the epoch; a model without an adapter is not
    `ready`."""

    id: str
    object: str = "model"
    created: int
    task: str
    base_model: str
    ready: bool
    version: int | None
    labels: list[str] | None


class ModelList(BaseModel):
    object: str = "list"
    data: list[ModelEntry]
    has_more: bool = False


def read_body(schema: type[Schema]) -> Schema:
    """The request's body, whatever content type it claims. Raises ApiError naming the first wrong field."""
    try:
        return schema.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> ApiError:
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
