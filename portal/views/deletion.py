"""Leaving: an admin has their tenant deleted, and can take that back while there is time."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.config import get_settings
from core.db import operator_session
from core.tenancy import Permission
from portal.access import allow
from portal.deletion import DeletionError, find_deletion, request_deletion, withdraw_deletion
from portal.filters import date_and_time
from portal.forms import errors
from portal.forms.deletion import DeletionForm
from portal.session import db, scope

bp = Blueprint("deletion", __name__, url_prefix="/deletion")

_PURPOSE = "a tenant's own session cannot change what the tenant may do"


@bp.get("")
@allow(Permission.TENANT_DELETE)
def show() -> ResponseReturnValue:
    return _page(DeletionForm(formdata=None))


@bp.post("")
@allow(Permission.TENANT_DELETE)
def ask() -> ResponseReturnValue:
    form = DeletionForm()
    if form.validate_on_submit():
        with operator_session(_PURPOSE) as session:
            try:
                deletion = request_deletion(session, scope().actor, scope().tenant_id, form.name.data or "")
            except DeletionError as error:
                errors.show(form, error)
            else:
                session.commit()
                until = date_and_time(deletion.due_at)
                flash(f"Your API keys are refused. You can take it back until {until}.", "success")
                return _to_page()
    return _page(form), 422


@bp.post("/withdraw")
@allow(Permission.TENANT_DELETE)
def withdraw() -> ResponseReturnValue:
    with operator_session(_PURPOSE) as session:
        try:
            withdraw_deletion(session, scope().actor, scope().tenant_id)
        except DeletionError as error:
            flash(str(error), "error")
        else:
            session.commit()
            flash("The tenant is kept, and its API keys work again.", "success")
    return _to_page()


def _to_page() -> ResponseReturnValue:
    return redirect(url_for("deletion.show"), code=303)


def _page(form: DeletionForm) -> str:
    return render_template(
        "deletion/show.html",
        form=form,
        deletion=find_deletion(db(), scope().tenant_id),
        grace_days=get_settings().deletion_grace_days,
    )
