"""What people do by links that were mailed to them, signed in or not, and asking for one.

To open a link changes nothing, because programs that look through mail open them, too: the page that it opens has a
button.
"""

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from core.config import get_settings
from core.db import operator_session
from core.models.account_mail import MailKind
from portal import account_mail, accounts, addresses
from portal.access import public
from portal.accounts import AccountError
from portal.forms import errors
from portal.forms.account import ForgottenForm, NewPasswordForm
from portal.limits import limiter

bp = Blueprint("links", __name__)

_DOOR = "find whom a mailed link is for, who need not be signed in"
_TRIES = "60 per hour"


def _address_tried() -> str:
    return "forgotten:" + request.form.get("email", "").strip().lower()[:254]


@bp.route("/forgot-password", methods=["GET", "POST"])
@public
@limiter.limit("20 per hour", methods=["POST"])
@limiter.limit("5 per hour", key_func=_address_tried, methods=["POST"])
def forgot_password() -> ResponseReturnValue:
    """Mail a link to whoever has the address; the answer is the same where nobody has it."""
    form = ForgottenForm()
    if form.validate_on_submit():
        with operator_session(_DOOR) as db:
            addresses.ask_to_reset(db, form.email.data)
            db.commit()
        return render_template("auth/forgot_sent.html", has_mail_server=bool(get_settings().smtp_url))
    return render_template("auth/forgot.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/links/password/<token>", methods=["GET", "POST"])
@public
@limiter.limit(_TRIES)
def reset_password(token: str) -> ResponseReturnValue:
    return _follow(
        token,
        (MailKind.RESET_PASSWORD,),
        NewPasswordForm(),
        "auth/reset.html",
        lambda db, mail, person, form: addresses.reset_password(db, mail, person, form.password.data),
        "Your password is changed. Sign in with it.",
    )


@bp.route("/links/address/<token>", methods=["GET", "POST"])
@public
@limiter.limit(_TRIES)
def confirm_address(token: str) -> ResponseReturnValue:
    return _follow(
        token,
        (MailKind.VERIFY_ADDRESS, MailKind.CONFIRM_NEW_ADDRESS),
        FlaskForm(),
        "auth/confirm_address.html",
        lambda db, mail, person, _form: addresses.confirm(db, mail, person),
        "Your address is verified.",
    )


@bp.route("/links/take-back/<token>", methods=["GET", "POST"])
@public
@limiter.limit(_TRIES)
def take_back(token: str) -> ResponseReturnValue:
    return _follow(
        token,
        (MailKind.ADDRESS_CHANGED,),
        NewPasswordForm(),
        "auth/take_back.html",
        lambda db, mail, person, form: addresses.take_back(db, mail, person, form.password.data),
        "The account is yours again. Sign in with your new password.",
    )


def _follow(
    token: str,
    kinds: tuple[MailKind, ...],
    form: FlaskForm,
    template: str,
    act: Callable[..., None],
    done: str,
) -> ResponseReturnValue:
    """Show what the link is for and, once the person agrees, `act`. 404 where the link is not good (any more)."""
    with operator_session(_DOOR) as db:
        found = account_mail.find_linked(db, token, *kinds)
        if found is None or not accounts.may_sign_in(db, found[1]):
            abort(404)
        mail, person = found
        if form.validate_on_submit():
            try:
                act(db, mail, person, form)
            except AccountError as error:
                errors.show(form, error)
            else:
                db.commit()
                flash(done, "success")
                return redirect(url_for("account.show"), code=303)
        page = render_template(template, form=form, address=mail.address, person=person)
    return page, 422 if form.is_submitted() else 200
