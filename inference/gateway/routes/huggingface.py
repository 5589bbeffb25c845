"""/hf/<model>: each model at an address of its own, as huggingface_hub's InferenceClient wants it."""

from typing import Any

from flask import Blueprint, Response

from core.catalogue import Task
from core.tenancy import Permission
from inference.gateway import limits
from inference.gateway.access import requires
from inference.gateway.asking import asker
from inference.gateway.auth import caller
from inference.gateway.bodies import json_response, read_body
from inference.gateway.completions import complete
from inference.gateway.describe import describes
from inference.gateway.idempotency import Answer, idempotent
from inference.gateway.predict import classify, tag
from inference.gateway.schemas.chat import ChatRequest, ChatResponse
from inference.gateway.schemas.huggingface import PipelineRequest, PipelineResponse, entities_of, labels_of
from inference.gateway.targets import get_task

bp = Blueprint("huggingface", __name__, url_prefix="/hf")


@bp.post("/<path:model>")
@requires(Permission.PREDICT)
@describes(PipelineResponse, body=PipelineRequest, errors=(400, 404, 409, 422, 503))
@idempotent
def run_pipeline(model: str) -> Response:
    """Classify texts or find entities in them, whichever `model` is for."""
    who = asker()
    task = get_task(
        who.scope, model
    )  # before the body: another tenant's model is none, whatever is sent to it
    body = read_body(PipelineRequest)
    limits.reserve_texts(body.inputs)
    options = body.parameters
    if task is Task.TAGGING:
        made = Answer[Any](lambda answers: json_response(entities_of(answers, options.ignore_labels)))
        tokens = tag(who, model, body.inputs, truncate=options.truncation, finish=made.finish).tokens
    else:
        made = Answer[Any](lambda answers: json_response(labels_of(answers, options.top_k)))
        tokens = classify(who, model, body.inputs, truncate=options.truncation, finish=made.finish).tokens
    limits.settle(tokens)
    return made.response


@bp.post("/<path:model>/v1/chat/completions")
@requires(Permission.PREDICT)
@describes(ChatResponse, media=("text/event-stream",), body=ChatRequest, errors=(400, 404, 409, 422, 503))
def chat(model: str) -> Response:
    """Answer messages by `model`, whatever the body calls it."""
    get_task(caller().scope, model)
    return complete(model, read_body(ChatRequest))
