"""The tenant's privacy policy: which personal data is replaced, and every version of that."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core.models.privacy import PrivacyPolicy
from core.models.users import User
from core.privacy.entities import ENTITIES
from core.privacy.policies import PolicyError, change_policy, current_policy
from core.tenancy import Permission
from portal.access import allow
from portal.forms import errors
from portal.forms.privacy import PolicyForm
from portal.session import db, scope

bp = Blueprint("privacy", __name__, url_prefix="/privacy")

_VERSIONS_SHOWN = 50


@bp.get("")
@allow(Permission.PRIVACY_READ)
def index() -> ResponseReturnValue:
    policy = current_policy(db(), scope().tenant_id)
    form = PolicyForm(
        formdata=None,
        enabled=policy.enabled,
        entities=sorted(policy.entities),
        allow_list="\n".join(sorted(policy.allow_list, key=str.casefold)),
    )
    return _page(form)


@bp.post("")
@allow(Permission.PRIVACY_WRITE)
def save() -> ResponseReturnValue:
    form = PolicyForm()
    if form.validate_on_submit():
        try:
            row = change_policy(
                db(),
                scope(),
                entities=form.entities.data or (),
                allow_list=(form.allow_list.data or "").splitlines(),
                enabled=form.enabled.data,
                reason=form.reason.data,
            )
        except PolicyError as error:
            errors.show(form, error)
        else:
            db().commit()
            flash(f"Version {row.version} of the policy is in force.", "success")
            return redirect(url_for("privacy.index"), code=303)
    return _page(form), 422


def _page(form: PolicyForm) -> str:
    rows = db().execute(
        select(PrivacyPolicy, User.name)
        .outerjoin(User, User.id == PrivacyPolicy.created_by_id)
        .order_by(PrivacyPolicy.version.desc())
        .limit(_VERSIONS_SHOWN)
    )
    return render_template(
        "privacy/index.html",
        form=form,
        policy=current_policy(db(), scope().tenant_id),
        entities={entity.name: entity for entity in ENTITIES},
        versions=[(row, author) for row, author in rows],
    )
