"""The tenant's privacy policies: which personal data is replaced and how, for all of it or for one model's requests."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select, true

from core.models.models import Model
from core.models.privacy import PrivacyPolicy
from core.models.users import User
from core.privacy.entities import ENTITIES
from core.privacy.policies import (
    PolicyError,
    change_policy,
    current_policy,
    find_latest,
    policy_of,
    withdraw_policy,
)
from core.privacy.types import Policy
from core.storage import tenant_key
from core.tenancy import Permission
from portal.access import allow
from portal.forms import errors
from portal.forms.privacy import PolicyForm
from portal.session import db, get_or_404, scope

bp = Blueprint("privacy", __name__, url_prefix="/privacy")

_VERSIONS_SHOWN = 50


@bp.get("")
@allow(Permission.PRIVACY_READ)
def index() -> ResponseReturnValue:
    return _page(_form_of(current_policy(db(), scope().tenant_id)))


@bp.post("")
@allow(Permission.PRIVACY_WRITE)
def save() -> ResponseReturnValue:
    return _save(None)


@bp.get("/models/<uuid:model_id>")
@allow(Permission.PRIVACY_READ)
def of_model(model_id: UUID) -> ResponseReturnValue:
    model = _get_model(model_id)
    return _page(_form_of(current_policy(db(), scope().tenant_id, model.id)), model)


@bp.post("/models/<uuid:model_id>")
@allow(Permission.PRIVACY_WRITE)
def save_for_model(model_id: UUID) -> ResponseReturnValue:
    return _save(_get_model(model_id))


@bp.post("/models/<uuid:model_id>/withdraw")
@allow(Permission.PRIVACY_WRITE)
def withdraw(model_id: UUID) -> ResponseReturnValue:
    model = _get_model(model_id)
    if _has_own(model):
        withdraw_policy(db(), scope(), model.id)
        db().commit()
        flash(f"Your tenant's policy holds for {model.name} again.", "success")
    return redirect(url_for("privacy.of_model", model_id=model.id), code=303)


def _get_model(model_id: UUID) -> Model:
    model = get_or_404(Model, model_id)
    if model.deleted_at is not None:
        abort(404)
    return model


def _has_own(model: Model) -> bool:
    latest = find_latest(db(), scope().tenant_id, model.id)
    return latest is not None and not latest.withdrawn


def _form_of(policy: Policy) -> PolicyForm:
    return PolicyForm(
        formdata=None,
        enabled=policy.enabled,
        entities=sorted(policy.entities),
        operators={entity: operator.value for entity, operator in policy.operators.items()},
        allow_list="\n".join(sorted(policy.allow_list, key=str.casefold)),
        deny_list="\n".join(sorted(policy.deny_list, key=str.casefold)),
    )


def _save(model: Model | None) -> ResponseReturnValue:
    form = PolicyForm()
    if form.validate_on_submit():
        try:
            row = change_policy(
                db(),
                scope(),
                entities=form.entities.data or (),
                operators=form.operators.data,
                allow_list=(form.allow_list.data or "").splitlines(),
                deny_list=(form.deny_list.data or "").splitlines(),
                enabled=form.enabled.data,
                reason=form.reason.data,
                model_id=None if model is None else model.id,
            )
        except PolicyError as error:
            errors.show(form, error)
        else:
            db().commit()
            flash(f"Version {row.version} of the policy is in force.", "success")
            return redirect(_url(model), code=303)
    return _page(form, model), 422


def _url(model: Model | None) -> str:
    return url_for("privacy.index") if model is None else url_for("privacy.of_model", model_id=model.id)


def _page(form: PolicyForm, model: Model | None = None) -> str:
    rows = db().execute(
        select(PrivacyPolicy, User.name, Model.name)
        .outerjoin(User, User.id == PrivacyPolicy.created_by_id)
        .outerjoin(Model, Model.id == PrivacyPolicy.model_id)
        .where(PrivacyPolicy.model_id == model.id if model else true())
        .order_by(PrivacyPolicy.version.desc())
        .limit(_VERSIONS_SHOWN)
    )
    key = tenant_key(db(), scope().tenant_id)
    return render_template(
        "privacy/index.html",
        form=form,
        model=model,
        has_own=model is not None and _has_own(model),
        action=_url(model),
        policy=current_policy(db(), scope().tenant_id, model.id if model else None),
        entities={entity.name: entity for entity in ENTITIES},
        models=[] if model else _models(),
        versions=[(row, policy_of(row, key), author, name) for row, author, name in rows],
    )


def _models() -> list[tuple[Model, Policy, bool]]:
    """Each model, the policy that holds for it, and whether that is its own."""
    models = db().scalars(select(Model).where(Model.deleted_at.is_(None)).order_by(Model.name))
    return [
        (model, current_policy(db(), scope().tenant_id, model.id), _has_own(model)) for model in models.all()
    ]
