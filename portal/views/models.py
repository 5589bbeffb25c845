"""Models and their versions: compare them, choose the one that answers, and see how to call it."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from billing.periods import Month
from core.catalogue import Task, get_base_model
from core.clock import now
from core.models.models import Adapter, Model
from core.tenancy import Permission
from portal import versions
from portal.access import allow
from portal.chat_setup import system_message
from portal.evaluations import FIGURES
from portal.session import db, get_or_404, scope
from portal.snippets import curl_call, python_call
from training.promotion import NotPromotable, promote

bp = Blueprint("models", __name__, url_prefix="/models")


@bp.get("")
@allow(Permission.MODELS_READ)
def index() -> ResponseReturnValue:
    month = Month.containing(now())
    return render_template(
        "models/index.html",
        models=versions.list_models(db()),
        month=month,
        usage=versions.usage_by_model(db(), month) if scope().allows(Permission.USAGE_READ) else None,
    )


@bp.get("/<uuid:model_id>")
@allow(Permission.MODELS_READ)
def show(model_id: UUID) -> ResponseReturnValue:
    model = get_or_404(Model, model_id)
    if model.deleted_at is not None:
        abort(404)
    month = Month.containing(now())
    found = versions.list_versions(db(), model)
    live = next((version for version in found if version.is_current), None)
    is_chat = model.task is Task.CHAT and scope().allows(Permission.DATASETS_READ)
    system = system_message(db(), model) if is_chat else ""
    return render_template(
        "models/show.html",
        model=model,
        base=get_base_model(model.base_model),
        versions=found,
        figures=FIGURES[model.task],
        labels=live.adapter.labels if live else (),
        comparison=versions.compare(found),
        live=live,
        month=month,
        usage=versions.usage_of(db(), model, month) if scope().allows(Permission.USAGE_READ) else None,
        curl=curl_call(model.name, task=model.task, system=system),
        python=python_call(model.name, task=model.task, system=system),
    )


@bp.post("/<uuid:model_id>/versions/<uuid:adapter_id>/promote")
@allow(Permission.MODELS_WRITE)
def promote_version(model_id: UUID, adapter_id: UUID) -> ResponseReturnValue:
    adapter = get_or_404(Adapter, adapter_id)
    if adapter.model_id != model_id:
        abort(404)
    try:
        model = promote(db(), scope(), adapter)
    except NotPromotable as obstacle:
        flash(f"Version {adapter.version} was not promoted. {obstacle}", "error")
    else:
        db().commit()
        flash(f"Version {adapter.version} of {model.name} answers from now on.", "success")
    return redirect(url_for("models.show", model_id=model_id), code=303)
