"""One's own e-mail address: verified, and changed."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from core.config import get_settings
from core.models.users import User
from portal import addresses
from portal.access import signed_in
from portal.accounts import AccountError
from portal.forms import errors
from portal.forms.account import AddressForm
from portal.identity import own_session
from portal.limits import limiter
from portal.passwords import confirm, locked
from portal.personal_log import record
from portal.views.account import person_key

bp = Blueprint("address", __name__, url_prefix="/account/address")

_TRIES = "5 per hour"


@bp.get("")
@signed_in
def show() -> ResponseReturnValue:
    return _page(AddressForm())


@bp.post("/verify")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def send_link() -> ResponseReturnValue:
    """Mail the link again."""
    with own_session(current_user) as db:
        addresses.ask_to_verify(db, locked(db, current_user))
        db.commit()
    flash("A new link is on its way. The one before it works no more.", "success")
    return redirect(url_for("address.show"), code=303)


@bp.post("")
@limiter.limit(_TRIES, key_func=person_key)
@signed_in
def change() -> ResponseReturnValue:
    """Mail a link to the address that the person wants; until they open it, nothing changes."""
    form = AddressForm()
    if form.validate_on_submit():
        with own_session(current_user) as db:
            try:
                person = locked(db, current_user)
                confirm(person, current_user, form.current.data)
                addresses.ask_to_change(db, person, form.email.data)
            except AccountError as error:
                errors.show(form, error)
            else:
                record(db, current_user, "email_change_asked")
                db.commit()
                flash(
                    "Open the link that is on its way to the new address. Until then nothing changes.",
                    "success",
                )
                return redirect(url_for("address.show"), code=303)
    return _page(form), 422


def _page(form: AddressForm) -> str:
    person = current_user.person
    return render_template(
        "account/address.html",
        form=form,
        verified=person.email_verified_at is not None if isinstance(person, User) else True,
        is_asked=addresses.is_verification_asked(),
        has_mail_server=bool(get_settings().smtp_url),
    )
