"""/v1/chat/completions and /predict."""

from flask import Blueprint, Response

from core.tenancy import Permission
from inference.gateway import limits
from inference.gateway.access import requires
from inference.gateway.asking import asker
from inference.gateway.auth import caller
from inference.gateway.bodies import json_response, read_body
from inference.gateway.chat import ChatAnswer, Message, Sampling, complete_chat
from inference.gateway.completions import complete
from inference.gateway.describe import describes
from inference.gateway.idempotency import Answer, idempotent
from inference.gateway.schemas.chat import ChatRequest, ChatResponse, PredictRequest, PredictResponse

bp = Blueprint("chat", __name__)

_ANSWER = Sampling(max_tokens=limits.EXPECTED_ANSWER_TOKENS, temperature=0.0)
"""A question has one answer: the likeliest."""


@bp.post("/v1/chat/completions")
@requires(Permission.PREDICT)
@describes(ChatResponse, media=("text/event-stream",), body=ChatRequest, errors=(400, 404, 409, 422, 503))
def create_chat_completion() -> Response:
    """Answer messages by a chat model, whole or as a stream of server-sent events."""
    body = read_body(ChatRequest)
    return complete(body.model, body)


@bp.post("/predict")
@requires(Permission.PREDICT)
@describes(PredictResponse, body=PredictRequest, errors=(400, 409, 422, 503))
@idempotent
def predict() -> Response:
    """Answer one question by the key's default model."""
    question = read_body(PredictRequest).question
    limits.reserve_chat([question], _ANSWER.max_tokens)
    made = Answer[ChatAnswer](lambda chat: json_response(PredictResponse(answer=chat.text.strip())))
    chat = complete_chat(
        asker(),
        None,
        [Message("user", question)],
        _ANSWER,
        default_model_id=caller().default_model_id,
        finish=made.finish,
    )
    limits.settle(chat.prompt_tokens + chat.completion_tokens)
    return made.response
