"""Setting up one's own second factor, and turning it off."""

from collections.abc import Callable, Sequence

import segno
from flask import Blueprint, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from core.models.account_mail import MailKind
from portal import account_mail, second_factor, sign_ins
from portal.access import signed_in
from portal.accounts import AccountError
from portal.forms import errors
from portal.forms.second_factor import CodeForm, SetUpForm
from portal.identity import own_session
from portal.limits import limiter
from portal.passwords import confirm as confirm_password
from portal.passwords import locked
from portal.personal_log import record
from portal.views.account import person_key

bp = Blueprint("second_factor", __name__, url_prefix="/account/second-factor")

_TO_CONFIRM = "totp_to_confirm"
_TRIES = "10 per 5 minutes"


@bp.get("")
@signed_in
def show() -> ResponseReturnValue:
    return _page(SetUpForm())


@bp.post("/on")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def turn_on() -> ResponseReturnValue:
    form = SetUpForm()

    def confirm(db: Session, code: str) -> Sequence[str]:
        person = locked(db, current_user)
        # Whoever finds a browser open must not lock its owner out.
        confirm_password(person, current_user, form.current.data)
        codes = second_factor.turn_on(db, person, session.get(_TO_CONFIRM, ""), code)
        # Whoever is signed in elsewhere has not shown that they have the second factor.
        sign_ins.end_others(db, person, current_user.session_id)
        account_mail.send(db, person, MailKind.CODES_TURNED_ON)
        return codes

    return _show_codes("second_factor_turned_on", form, confirm)


@bp.post("/recovery-codes")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def renew_codes() -> ResponseReturnValue:
    return _show_codes(
        "recovery_codes_renewed",
        CodeForm(),
        lambda db, code: second_factor.renew_with_code(db, locked(db, current_user), code),
    )


@bp.post("/off")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def turn_off() -> ResponseReturnValue:
    form = CodeForm()
    if current_user.needs_second_factor and not current_user.has_passkey:
        form.form_errors.append("You are asked to have a second factor. Add a passkey first.")
    elif form.validate_on_submit():
        with own_session(current_user) as db:
            try:
                person = locked(db, current_user)
                second_factor.turn_off(db, person, form.code.data)
            except AccountError as error:
                errors.show(form, error)
            else:
                account_mail.send(db, person, MailKind.CODES_TURNED_OFF)
                record(db, current_user, "second_factor_turned_off")
                db.commit()
                flash("No code is asked for any more.", "info")
                return redirect(url_for("account.show"), code=303)
    return _page(form), 422


def _show_codes(
    action: str, form: CodeForm, change: Callable[[Session, str], Sequence[str]]
) -> ResponseReturnValue:
    """Make recovery codes by `change` and show them: this answer is the only place where they stand."""
    if form.validate_on_submit():
        with own_session(current_user) as db:
            try:
                codes = change(db, form.code.data)
            except AccountError as error:
                errors.show(form, error)
            else:
                record(db, current_user, action)
                db.commit()
                session.pop(_TO_CONFIRM, None)
                return render_template("account/recovery_codes.html", codes=codes)
    return _page(form), 422


def _page(form: CodeForm) -> str:
    person = current_user.person
    if person.totp_secret is not None:
        left = len(person.recovery_digests or ())
        return render_template("account/second_factor.html", form=form, codes_left=left)
    # The same at a second look, so that an app that has read the code already shows the right digits.
    secret = session.setdefault(_TO_CONFIRM, second_factor.new_secret())
    picture = segno.make(second_factor.address_for_app(person, secret), error="m")
    return render_template(
        "account/second_factor_new.html",
        form=form,
        secret=secret,
        picture=picture.svg_data_uri(scale=5, border=3, light="white"),
    )
