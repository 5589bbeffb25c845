"""Somebody's own account: where they are signed in, and their password."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import sign_ins
from portal.access import signed_in
from portal.accounts import AccountError
from portal.forms import errors
from portal.forms.account import PasswordForm
from portal.identity import own_session
from portal.limits import limiter
from portal.passwords import change_password
from portal.personal_log import record

bp = Blueprint("account", __name__, url_prefix="/account")


def person_key() -> str:
    """Whose tries are counted together: one who is signed in, wherever they try from."""
    return f"person:{current_user.person.id}" if current_user.is_authenticated else "nobody"


@bp.get("")
@signed_in
def show() -> ResponseReturnValue:
    return _page(PasswordForm())


@bp.post("/password")
@limiter.limit("10 per 5 minutes", key_func=person_key)
@signed_in
def set_password() -> ResponseReturnValue:
    form = PasswordForm()
    if form.validate_on_submit():
        with own_session(current_user) as db:
            try:
                change_password(db, current_user, current=form.current.data, new=form.password.data)
            except AccountError as error:
                errors.show(form, error)
            else:
                db.commit()
                flash("Your password is changed, and you are signed out everywhere else.", "success")
                return _to_page()
    return _page(form), 422


@bp.post("/sessions/<uuid:session_id>/end")
@signed_in
def end_session(session_id: UUID) -> ResponseReturnValue:
    with own_session(current_user) as db:
        if not sign_ins.end(db, current_user.person, session_id):
            abort(404)
        record(db, current_user, "session_ended")
        db.commit()
    flash("That session is signed out.", "success")
    return _to_page()


@bp.post("/sessions/end-others")
@signed_in
def end_other_sessions() -> ResponseReturnValue:
    with own_session(current_user) as db:
        sign_ins.end_others(db, current_user.person, current_user.session_id)
        record(db, current_user, "other_sessions_ended")
        db.commit()
    flash("You are signed out everywhere else.", "success")
    return _to_page()


def _to_page() -> ResponseReturnValue:
    return redirect(url_for("account.show"), code=303)


def _page(form: PasswordForm) -> str:
    with own_session(current_user) as db:
        sessions = sign_ins.listed(db, current_user.person)
    return render_template("account/show.html", form=form, sessions=sessions)
