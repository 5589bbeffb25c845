"""Signing up, in and out, and accepting an invite."""

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user

from core.db import operator_session
from core.models.tenants import Tenant
from portal import accounts, addresses, entrance, passkeys, second_factor, sign_ins
from portal.access import public, signed_in
from portal.forms import errors
from portal.forms.auth import AcceptInviteForm, LoginForm, SignUpForm
from portal.forms.second_factor import CodeForm, CredentialForm
from portal.identity import own_session
from portal.limits import limiter

bp = Blueprint("auth", __name__)


def _address_tried() -> str:
    return "email:" + request.form.get("email", "").strip().lower()[:254]


def person_waiting() -> str:
    """Whose tries for a second factor are counted together."""
    return f"code:{entrance.waiting_id()}"


@bp.route("/signup", methods=["GET", "POST"])
@public
@limiter.limit("20 per hour", methods=["POST"])
def signup() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(url_for("dashboard.show"))
    form = SignUpForm()
    if form.validate_on_submit():
        with operator_session("make a tenant, which does not exist yet") as db:
            try:
                _, user = accounts.sign_up(
                    db,
                    tenant_name=form.tenant_name.data,
                    name=form.name.data,
                    email=form.email.data,
                    password=form.password.data,
                )
            except accounts.AccountError as error:
                errors.show(form, error)
            else:
                addresses.ask_to_verify(db, user)
                return entrance.let_in(db, user)
    return render_template("auth/signup.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/login", methods=["GET", "POST"])
@public
@limiter.limit("100 per hour", methods=["POST"])
@limiter.limit("10 per 5 minutes", key_func=_address_tried, methods=["POST"])
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(entrance.home_of(current_user))
    form = LoginForm(next=request.args.get("next", ""))
    if form.validate_on_submit():
        with operator_session("find who signs in, whose tenant is not known yet") as db:
            person = accounts.find_user(db, form.email.data, form.password.data)
            if person is not None and second_factor.has_any(db, person):
                return entrance.ask_for_second_factor(person, form.next.data)
            if person is not None:
                return entrance.let_in(db, person, form.next.data)
        form.form_errors.append("The e-mail address or the password is wrong.")
    return login_page(form), 422 if form.is_submitted() else 200


def login_page(form: LoginForm, credential_form: CredentialForm | None = None) -> str:
    """The page to sign in on, by a password or by a passkey."""
    return render_template(
        "auth/login.html",
        form=form,
        credential_form=credential_form or CredentialForm(formdata=None, next=form.next.data),
        passkeys_offered=passkeys.are_offered(),
    )


@bp.route("/login/code", methods=["GET", "POST"])
@public
@limiter.limit("100 per hour", methods=["POST"])
@limiter.limit("10 per hour", key_func=person_waiting, methods=["POST"])
def code() -> ResponseReturnValue:
    """Ask whoever gave the right password for their second factor."""
    if current_user.is_authenticated:
        return redirect(entrance.home_of(current_user))
    person_id = entrance.waiting_id()
    if person_id is None:
        return entrance.forget_waiting()
    form = CodeForm()
    with operator_session("find who signs in, whose tenant is not known yet") as db:
        person = accounts.find_waiting(db, person_id)
        if person is None or not second_factor.has_any(db, person):
            return entrance.forget_waiting()
        if form.validate_on_submit():
            try:
                second_factor.use_code(db, person, form.code.data)
            except accounts.AccountError as error:
                errors.show(form, error)
            else:
                return entrance.let_in(db, person, entrance.waiting_target())
        page = code_page(
            form, has_app=person.totp_secret is not None, has_passkey=passkeys.has_any(db, person)
        )
    return page, 422 if form.is_submitted() else 200


def code_page(
    form: CodeForm, *, has_app: bool, has_passkey: bool, credential_form: CredentialForm | None = None
) -> str:
    """The page that asks for a second factor."""
    return render_template(
        "auth/code.html",
        form=form,
        credential_form=credential_form or CredentialForm(formdata=None),
        has_app=has_app,
        has_passkey=has_passkey and passkeys.are_offered(),
    )


@bp.post("/logout")
@signed_in
def logout() -> ResponseReturnValue:
    """End the session, so that a copy of its cookie is good for nothing either."""
    with own_session(current_user) as db:
        sign_ins.end(db, current_user.person, current_user.session_id)
        db.commit()
    logout_user()
    session.clear()
    flash("You are signed out.", "info")
    return redirect(url_for("auth.login"), code=303)


@bp.route("/invites/<token>", methods=["GET", "POST"])
@public
@limiter.limit("60 per hour")
def accept_invite(token: str) -> ResponseReturnValue:
    form = AcceptInviteForm()
    with operator_session("find the tenant that an invite's link belongs to") as db:
        invite = accounts.find_invite(db, token)
        if invite is None:
            abort(404)
        tenant = db.get_one(Tenant, invite.tenant_id)
        if form.validate_on_submit():
            try:
                user = accounts.accept_invite(db, invite, name=form.name.data, password=form.password.data)
            except accounts.AccountError as error:
                errors.show(form, error)
            else:
                addresses.ask_to_verify(db, user)
                return entrance.let_in(db, user)
        page = render_template("auth/invite.html", form=form, invite=invite, tenant=tenant)
    return page, 422 if form.is_submitted() else 200


@bp.get("/terms")
@public
def terms() -> ResponseReturnValue:
    return render_template("auth/terms.html", version=accounts.TERMS_VERSION)
