"""Signing in with a passkey: alone, or after the password in the place of a code."""

from flask import Blueprint, Response, abort, redirect
from flask.typing import ResponseReturnValue
from flask_login import current_user

from core.db import operator_session
from portal import accounts, entrance, passkeys
from portal.access import public
from portal.accounts import AccountError
from portal.challenges import Purpose, make_challenge, take_challenge
from portal.forms import errors
from portal.forms.auth import LoginForm
from portal.forms.second_factor import CodeForm, CredentialForm
from portal.limits import limiter
from portal.views.auth import code_page, login_page, person_waiting

bp = Blueprint("passkey_sign_in", __name__, url_prefix="/login")

_TOO_OLD = "That took too long, or was sent twice. Try again."


@bp.post("/passkey/options")
@public
@limiter.limit("100 per hour")
def options() -> ResponseReturnValue:
    """What a browser is to ask its passkeys for; the same for everybody."""
    _require_passkeys()
    return _json(passkeys.options_to_sign_in(make_challenge(Purpose.SIGN_IN)))


@bp.post("/passkey")
@public
@limiter.limit("100 per hour")
def alone() -> ResponseReturnValue:
    """Sign in whoever's passkey has signed: it has looked who is there, so that it counts as both factors."""
    _require_passkeys()
    if current_user.is_authenticated:
        return redirect(entrance.home_of(current_user), code=303)
    form = CredentialForm()
    challenge = take_challenge(Purpose.SIGN_IN)
    with operator_session("find whose passkey signs in, whose tenant is not known yet") as db:
        try:
            person = passkeys.find_owner(db, challenge, form.credential.data)
        except AccountError as error:
            errors.show(form, error)
        else:
            return entrance.let_in(db, person, form.next.data)
    return login_page(LoginForm(formdata=None, next=form.next.data), form), 422


@bp.post("/code/passkey/options")
@public
@limiter.limit("100 per hour")
@limiter.limit("20 per hour", key_func=person_waiting)
def second_factor_options() -> ResponseReturnValue:
    """What a browser is to ask for where the password was right: one of that person's own passkeys."""
    _require_passkeys()
    person_id = entrance.waiting_id()
    with operator_session("find who signs in, whose tenant is not known yet") as db:
        person = None if person_id is None else accounts.find_waiting(db, person_id)
        if person is None:
            return _json(f'{{"error": "{_TOO_OLD}"}}', 422)
        challenge = make_challenge(Purpose.SECOND_FACTOR, person.id)
        return _json(passkeys.options_for_second_factor(db, person, challenge))


@bp.post("/code/passkey")
@public
@limiter.limit("100 per hour")
@limiter.limit("10 per hour", key_func=person_waiting)
def second_factor() -> ResponseReturnValue:
    """Sign in whoever gave the right password and whose passkey has signed."""
    _require_passkeys()
    person_id = entrance.waiting_id()
    if person_id is None:
        return entrance.forget_waiting()
    form = CredentialForm()
    challenge = take_challenge(Purpose.SECOND_FACTOR, person_id)
    with operator_session("find who signs in, whose tenant is not known yet") as db:
        person = accounts.find_waiting(db, person_id)
        if person is None:
            return entrance.forget_waiting()
        try:
            passkeys.use_as_second_factor(db, person, challenge, form.credential.data)
        except AccountError as error:
            errors.show(form, error)
        else:
            return entrance.let_in(db, person, entrance.waiting_target())
        has_app = person.totp_secret is not None
    page = code_page(CodeForm(formdata=None), has_app=has_app, has_passkey=True, credential_form=form)
    return page, 422


def _require_passkeys() -> None:
    """404 where this portal has no name that passkeys could be bound to."""
    if not passkeys.are_offered():
        abort(404)


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, mimetype="application/json")
