"""The API's reference for whoever is signed in: programs for their own models, and every call there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core.catalogue import Task
from core.config import get_settings
from core.models.models import Model
from core.storage import tenant_key
from core.tenancy import Permission
from core.webhooks import signing_secret
from inference.gateway.openapi import PATH
from portal import api_examples
from portal.access import allow
from portal.api.app import description
from portal.chat_setup import system_message
from portal.session import db, scope

bp = Blueprint("api_docs", __name__, url_prefix="/docs/api")

_MODEL_TO_COME = "your-model"
_TITLES = {
    "classify": "Classification",
    "tag": "Entities",
    "chat": "Chat",
    "embeddings": "Embeddings",
    "anonymize": "Anonymize",
    "models": "Models",
    "files": "Files",
    "fine_tuning": "Fine-tuning",
    "batches": "Batches",
    "huggingface": "Hugging Face",
    "openapi": "Description",
    "health": "Health",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API, as its OpenAPI description has it."""

    group: str
    method: str
    path: str
    summary: str


@bp.get("")
@allow(Permission.MODELS_READ)
def show() -> ResponseReturnValue:
    """Programs for one of the tenant's models, and the list of all calls."""
    models = (
        db().scalars(select(Model).where(Model.current_adapter_id.is_not(None)).order_by(Model.name)).all()
    )
    chosen = next((model for model in models if model.name == request.args.get("model")), None)
    model = chosen or next(iter(models), None)
    name, task = (model.name, model.task) if model else (_MODEL_TO_COME, Task.CLASSIFICATION)
    may_read = model is not None and task is Task.CHAT and scope().allows(Permission.DATASETS_READ)
    examples = (
        api_examples.call_example(name, task, system_message(db(), model) if model and may_read else ""),
        api_examples.embedding_example(),
        api_examples.training_example(),
        api_examples.batch_example(name, task),
    )
    return render_template(
        "api_docs/show.html",
        models=models,
        model=model,
        examples=examples,
        groups=_groups(),
        base_url=get_settings().api_url + "/v1",
        document_url=get_settings().api_url + PATH,
        webhook_secret=_webhook_secret(),
    )


def _webhook_secret() -> str | None:
    """What the tenant's webhooks are signed with, for those who may see secrets."""
    if not scope().allows(Permission.KEYS_WRITE):
        return None
    return signing_secret(tenant_key(db(), scope().tenant_id))


def _groups() -> Sequence[tuple[str, Sequence[Call]]]:
    """Every call, under its heading."""
    calls = [
        Call(operation["tags"][0], method.upper(), path, operation["summary"])
        for path, operations in description()["paths"].items()
        for method, operation in operations.items()
    ]
    order = list(_TITLES)
    calls.sort(key=lambda call: (order.index(call.group), call.path))
    return [(_TITLES[group], list(found)) for group, found in groupby(calls, key=lambda call: call.group)]
