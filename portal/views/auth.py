"""Signing up, in and out, and accepting an invite."""

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from core.clock import now
from core.db import ScopedSession, operator_session
from core.models.staff import StaffMember
from core.models.tenants import Tenant
from core.models.users import User
from portal import accounts, second_factor, sign_ins
from portal.access import public, signed_in
from portal.devices import device_name, network_of
from portal.forms import errors
from portal.forms.auth import AcceptInviteForm, LoginForm, SignUpForm
from portal.forms.second_factor import CodeForm
from portal.identity import SignedInStaff, SignedInUser, own_session
from portal.limits import limiter

bp = Blueprint("auth", __name__)

_WAITING = "second_factor"
_CODE_LIFETIME = timedelta(minutes=10)


def _address_tried() -> str:
    return "email:" + request.form.get("email", "").strip().lower()[:254]


def _person_waiting() -> str:
    return f"code:{session.get(_WAITING, {}).get('person')}"


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
                _sign_in(db, user)
                return redirect(url_for("dashboard.show"), code=303)
    return render_template("auth/signup.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/login", methods=["GET", "POST"])
@public
@limiter.limit("100 per hour", methods=["POST"])
@limiter.limit("10 per 5 minutes", key_func=_address_tried, methods=["POST"])
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(_home(current_user))
    form = LoginForm(next=request.args.get("next", ""))
    if form.validate_on_submit():
        with operator_session("find who signs in, whose tenant is not known yet") as db:
            person = accounts.find_user(db, form.email.data, form.password.data)
            if person is not None and person.totp_secret is not None:
                return _ask_for_code(person, _local(form.next.data))
            if person is not None:
                identity = _sign_in(db, person)
                return redirect(_local(form.next.data) or _home(identity), code=303)
        form.form_errors.append("The e-mail address or the password is wrong.")
    return render_template("auth/login.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/login/code", methods=["GET", "POST"])
@public
@limiter.limit("100 per hour", methods=["POST"])
@limiter.limit("10 per hour", key_func=_person_waiting, methods=["POST"])
def code() -> ResponseReturnValue:
    """Ask whoever gave the right password for their second factor."""
    if current_user.is_authenticated:
        return redirect(_home(current_user))
    waiting = session.get(_WAITING)
    if waiting is None or waiting["until"] < now().timestamp():
        session.pop(_WAITING, None)
        return redirect(url_for("auth.login"), code=303)
    form = CodeForm()
    if form.validate_on_submit():
        with operator_session("find who signs in, whose tenant is not known yet") as db:
            person = accounts.find_waiting(db, UUID(waiting["person"]))
            if person is None:
                session.pop(_WAITING)
                return redirect(url_for("auth.login"), code=303)
            try:
                second_factor.use_code(db, person, form.code.data)
            except accounts.AccountError as error:
                errors.show(form, error)
            else:
                identity = _sign_in(db, person)
                return redirect(waiting["next"] or _home(identity), code=303)
    return render_template("auth/code.html", form=form), 422 if form.is_submitted() else 200


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
                _sign_in(db, user)
                return redirect(url_for("dashboard.show"), code=303)
        page = render_template("auth/invite.html", form=form, invite=invite, tenant=tenant)
    return page, 422 if form.is_submitted() else 200


@bp.get("/terms")
@public
def terms() -> ResponseReturnValue:
    return render_template("auth/terms.html", version=accounts.TERMS_VERSION)


def _ask_for_code(person: User | StaffMember, target: str | None) -> ResponseReturnValue:
    """Remember that the person's password was right, which by itself signs nobody in, and ask for their code."""
    session.clear()
    until = now() + _CODE_LIFETIME
    session[_WAITING] = {"person": str(person.id), "next": target, "until": until.timestamp()}
    return redirect(url_for("auth.code"), code=303)


def _sign_in(db: ScopedSession, person: User | StaffMember) -> SignedInUser | SignedInStaff:
    """Start a session for `person` and commit it, together with what else `db` holds."""
    accounts.note_login(person, now())
    row = sign_ins.start(db, person, device_name(request.user_agent.string), network_of(request.remote_addr))
    identity = (
        SignedInUser(person, db.get_one(Tenant, person.tenant_id), row.id, None)
        if isinstance(person, User)
        else SignedInStaff(person, row.id)
    )
    db.commit()
    # A session that an attacker planted before the sign-in must not become the signed-in one.
    session.clear()
    login_user(identity)
    return identity


def _home(identity: SignedInUser | SignedInStaff) -> str:
    return url_for("operator_tenants.index") if identity.is_staff else url_for("dashboard.show")


def _local(target: str | None) -> str | None:
    """`target` if it is a path on this portal, so that a link to the sign-in page cannot send people elsewhere."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target
