"""API keys: what a tenant's apps call the API with."""

from datetime import timedelta
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core import api_keys
from core.catalogue import Task
from core.models.api_keys import ApiKey
from core.models.models import Model
from core.models.users import User
from core.networks import parse_networks
from core.tenancy import Permission
from portal import snippets
from portal.access import allow
from portal.forms.keys import KeyAccess, KeyForm, ReplaceForm
from portal.key_reach import reach_to, reachable, reached_models
from portal.session import db, get_or_404, scope

bp = Blueprint("keys", __name__, url_prefix="/keys")

_MODEL_TO_COME = "your-model"


@bp.get("")
@allow(Permission.KEYS_READ)
def index() -> ResponseReturnValue:
    return _page(_form())


@bp.post("")
@allow(Permission.KEYS_WRITE)
def create() -> ResponseReturnValue:
    """Make a key and show it: this answer is the only place where it stands in full."""
    form = _form()
    if form.validate_on_submit():
        if _is_taken(form.name.data):
            form.name.errors = ["An active key has this name. Choose another, or revoke that one first."]
        else:
            try:
                key, plain = api_keys.create(
                    db(),
                    scope(),
                    form.name.data,
                    may_predict=form.access.data != KeyAccess.MANAGE,
                    may_manage=form.access.data != KeyAccess.PREDICT,
                    default_model_id=_chat_models().get(form.default_model.data),
                    reach=reach_to(db(), form.models.data, form.endpoints.data),
                    limits=form.limits,
                    networks=parse_networks(form.networks.data or ""),
                    expires_at=form.expires_at,
                )
            except api_keys.TooManyKeys as error:
                form.name.errors = [str(error)]
            except api_keys.DefaultModelOutOfReach as error:
                form.default_model.errors = [str(error)]
            else:
                db().commit()
                return _created_page(key, plain), 201
    return _page(form), 422


@bp.post("/<uuid:key_id>/replace")
@allow(Permission.KEYS_WRITE)
def replace(key_id: UUID) -> ResponseReturnValue:
    """Make a key to follow another and show it: this answer is the only place where it stands in full."""
    key = get_or_404(ApiKey, key_id)
    form = ReplaceForm()
    if not form.validate_on_submit():
        flash("Choose when the old key stops.", "error")
        return redirect(url_for("keys.index"), code=303)
    try:
        new, plain = api_keys.replace(db(), scope(), key, timedelta(hours=form.overlap_hours.data))
    except (api_keys.TooManyKeys, api_keys.AlreadyReplaced) as error:
        flash(str(error), "error")
        return redirect(url_for("keys.index"), code=303)
    db().commit()
    return _created_page(new, plain, old=key), 201


def _created_page(key: ApiKey, plain: str, old: ApiKey | None = None) -> str:
    model = (
        db()
        .scalars(select(Model).where(Model.current_adapter_id.is_not(None)).order_by(Model.name).limit(1))
        .one_or_none()
    )
    curl = snippets.curl_call(model.name, task=model.task) if model else snippets.curl_call(_MODEL_TO_COME)
    return render_template(
        "keys/created.html", key=key, plain=plain, old=old, curl=curl, has_model=bool(model)
    )


@bp.post("/<uuid:key_id>/revoke")
@allow(Permission.KEYS_WRITE)
def revoke(key_id: UUID) -> ResponseReturnValue:
    key = get_or_404(ApiKey, key_id)
    api_keys.revoke(db(), scope(), key)
    db().commit()
    flash(f"The key {key.name} is revoked.", "success")
    return redirect(url_for("keys.index"), code=303)


def _form() -> KeyForm:
    form = KeyForm()
    form.offer(reachable(db()), _chat_models())
    return form


def _chat_models() -> dict[str, UUID]:
    """The tenant's chat models, by name."""
    rows = db().execute(
        select(Model.name, Model.id)
        .where(Model.task == Task.CHAT, Model.deleted_at.is_(None))
        .order_by(Model.name)
    )
    return dict(rows.all())


def _page(form: KeyForm) -> str:
    rows = db().execute(
        select(ApiKey, User.name, Model.name)
        .outerjoin(User, User.id == ApiKey.created_by_id)
        .outerjoin(Model, Model.id == ApiKey.default_model_id)
        .order_by(ApiKey.created_at.desc())
    )
    keys = [(key, creator, model) for key, creator, model in rows]
    return render_template(
        "keys/index.html",
        form=form,
        replace_form=ReplaceForm(formdata=None),
        reached=reached_models(db()),
        active=[row for row in keys if api_keys.is_active(row[0])],
        inactive=[row for row in keys if not api_keys.is_active(row[0])],
    )


def _is_taken(name: str) -> bool:
    return (
        db().scalar(select(ApiKey.id).where(ApiKey.name == name, api_keys.active_keys()).limit(1)) is not None
    )
