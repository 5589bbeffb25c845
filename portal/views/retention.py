"""How long the tenant's data is kept."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.tenancy import Permission
from portal.access import allow
from portal.forms.retention import RetentionForm
from portal.retention import change_rules, rules_of
from portal.session import db, scope

bp = Blueprint("retention", __name__, url_prefix="/retention")


@bp.get("")
@allow(Permission.PRIVACY_READ)
def show() -> ResponseReturnValue:
    rules = rules_of(db(), scope())
    form = RetentionForm(
        formdata=None,
        dataset_days=rules.dataset_days or 0,
        file_days=rules.file_days or 0,
        checkpoint_days=rules.checkpoint_days or 0,
    )
    return render_template("retention/show.html", form=form)


@bp.post("")
@allow(Permission.PRIVACY_WRITE)
def save() -> ResponseReturnValue:
    form = RetentionForm()
    if form.validate_on_submit():
        change_rules(db(), scope(), **form.days)
        db().commit()
        flash("The rules are in force.", "success")
        return redirect(url_for("retention.show"), code=303)
    return render_template("retention/show.html", form=form), 422
