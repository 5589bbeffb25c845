"""One's own passkeys: listed, added and removed."""

from uuid import UUID

from flask import Blueprint, Response, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from core.models.account_mail import MailKind
from portal import account_mail, passkeys, second_factor, sign_ins
from portal.access import signed_in
from portal.accounts import AccountError
from portal.challenges import Purpose, make_challenge, take_challenge
from portal.forms.second_factor import ConfirmForm, PasskeyForm
from portal.identity import own_session
from portal.limits import limiter
from portal.passwords import confirm, locked
from portal.personal_log import record
from portal.views.account import person_key

bp = Blueprint("passkeys", __name__, url_prefix="/account/passkeys")

_TRIES = "20 per 5 minutes"


@bp.get("")
@signed_in
def index() -> ResponseReturnValue:
    return _page(PasskeyForm())


@bp.post("/options")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def options() -> ResponseReturnValue:
    """What the browser is to make, once it is clear that it is the person who asks; an error where it is not."""
    if not passkeys.are_offered():
        abort(404)
    form = PasskeyForm()
    if not form.validate_on_submit():
        return {"error": " ".join(form.name.errors) or "Reload the page and try again."}, 422
    with own_session(current_user) as db:
        try:
            person = locked(db, current_user)
            confirm(person, current_user, form.current.data)
            text = passkeys.options_to_add(db, person, make_challenge(Purpose.ADD, person.id))
        except AccountError as error:
            return {"error": str(error)}, 422
    return Response(text, mimetype="application/json")


@bp.post("")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def add() -> ResponseReturnValue:
    """Keep the passkey that the browser has made; the person's first second factor comes with recovery codes."""
    form = PasskeyForm()
    # Only who has confirmed that it is them was given a challenge.
    challenge = take_challenge(Purpose.ADD, current_user.person.id)
    if form.validate_on_submit():
        with own_session(current_user) as db:
            person = locked(db, current_user)
            is_first = not second_factor.has_any(db, person)
            try:
                passkeys.add(db, person, challenge, form.credential.data, form.name.data)
            except AccountError as error:
                form.form_errors.append(str(error))
            else:
                codes = second_factor.renew_recovery_codes(db, person) if is_first else None
                if is_first:
                    # Whoever is signed in elsewhere has not shown that they have the second factor.
                    sign_ins.end_others(db, person, current_user.session_id)
                account_mail.send(db, person, MailKind.PASSKEY_ADDED)
                record(db, current_user, "passkey_added", {"name": form.name.data})
                db.commit()
                flash(f"The passkey {form.name.data} signs you in from now on.", "success")
                if codes:
                    return render_template("account/recovery_codes.html", codes=codes)
                return redirect(url_for("passkeys.index"), code=303)
    return _page(form), 422


@bp.post("/recovery-codes")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def renew_codes() -> ResponseReturnValue:
    """New recovery codes for somebody who has passkeys: this answer is the only place where they stand."""
    form = ConfirmForm()
    with own_session(current_user) as db:
        person = locked(db, current_user)
        try:
            confirm(person, current_user, form.current.data)
            second_factor.require_one(db, person)
        except AccountError as error:
            flash(str(error), "error")
            return redirect(url_for("passkeys.index"), code=303)
        codes = second_factor.renew_recovery_codes(db, person)
        record(db, current_user, "recovery_codes_renewed")
        db.commit()
    return render_template("account/recovery_codes.html", codes=codes)


@bp.post("/<uuid:passkey_id>/remove")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def remove(passkey_id: UUID) -> ResponseReturnValue:
    form = ConfirmForm()
    with own_session(current_user) as db:
        person = locked(db, current_user)
        passkey = passkeys.remove(db, person, passkey_id)
        if passkey is None:
            abort(404)
        try:
            confirm(person, current_user, form.current.data)
            if current_user.needs_second_factor:
                second_factor.require_one(db, person)
        except AccountError as error:
            flash(str(error), "error")
        else:
            second_factor.tidy(db, person)
            account_mail.send(db, person, MailKind.PASSKEY_REMOVED)
            record(db, current_user, "passkey_removed", {"name": passkey.name})
            db.commit()
            flash(f"The passkey {passkey.name} signs nobody in any more.", "success")
    return redirect(url_for("passkeys.index"), code=303)


def _page(form: PasskeyForm) -> str:
    with own_session(current_user) as db:
        rows = passkeys.listed(db, current_user.person)
    return render_template(
        "account/passkeys.html",
        form=form,
        passkeys=rows,
        offered=passkeys.are_offered(),
    )
