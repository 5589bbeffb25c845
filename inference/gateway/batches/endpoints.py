"""What a batch's lines may ask for: the calls behind the API's routes, on a body and without a request."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from inference.gateway.bodies import invalid_body
from inference.gateway.chat import complete_chat
from inference.gateway.completions import chat_messages, chat_response, chat_sampling
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.metering import Asker
from inference.gateway.predict import classify, embed, tag
from inference.gateway.schemas.chat import ChatRequest
from inference.gateway.schemas.classify import ClassifyRequest, ClassifyResponse
from inference.gateway.schemas.embeddings import EmbeddingsRequest, EmbeddingsResponse
from inference.gateway.schemas.tag import TagRequest, TagResponse

Schema = TypeVar("Schema", bound=BaseModel)
Keep = Callable[[Session, bytes], None]
"""Is called with the answer's JSON in the transaction that bills it."""

Call = Callable[[Asker, bytes, Keep], None]
"""Answers a body. Raises ApiError or PredictionError, and then nothing is billed."""


def _classify(asker: Asker, raw: bytes, keep: Keep) -> None:
    body = _read(ClassifyRequest, raw)
    classify(
        asker,
        body.model,
        body.input,
        truncate=body.truncate,
        finish=lambda session, prediction: keep(session, _json(ClassifyResponse.of(prediction))),
    )


def _tag(asker: Asker, raw: bytes, keep: Keep) -> None:
    body = _read(TagRequest, raw)
    tag(
        asker,
        body.model,
        body.input,
        truncate=body.truncate,
        finish=lambda session, tagging: keep(session, _json(TagResponse.of(tagging))),
    )


def _embed(asker: Asker, raw: bytes, keep: Keep) -> None:
    body = _read(EmbeddingsRequest, raw)
    in_base64 = body.encoding_format == "base64"
    embed(
        asker,
        body.model,
        body.input,
        finish=lambda session, made: keep(session, _json(EmbeddingsResponse.of(made, in_base64=in_base64))),
    )


def _chat(asker: Asker, raw: bytes, keep: Keep) -> None:
    body = _read(ChatRequest, raw)
    if body.stream:
        message = "A batch's answers come in a file: leave out 'stream'."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "invalid_body", message, param="stream")
    complete_chat(
        asker,
        body.model,
        chat_messages(body),
        chat_sampling(body),
        finish=lambda session, chat: keep(session, _json(chat_response(chat))),
    )


CALLS: Mapping[str, Call] = {
    "/v1/chat/completions": _chat,
    "/v1/embeddings": _embed,
    "/v1/classify": _classify,
    "/v1/tag": _tag,
}


def _read(schema: type[Schema], raw: bytes) -> Schema:
    try:
        return schema.model_validate_json(raw)
    except ValidationError as error:
        raise invalid_body(error) from None


def _json(body: BaseModel) -> bytes:
    return body.model_dump_json().encode()
