"""A tenant's members: who they are, what they may do, and who is invited."""

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core.clock import now
from core.config import get_settings
from core.models.users import Invite, User
from core.tenancy import Permission, Role
from portal import accounts, second_factor
from portal.access import allow
from portal.forms import errors
from portal.forms.members import InviteForm, RoleForm
from portal.session import db, get_or_404, scope

bp = Blueprint("members", __name__, url_prefix="/members")


@bp.get("")
@allow(Permission.MEMBERS_READ)
def index() -> ResponseReturnValue:
    return _page(InviteForm())


@bp.post("/invites")
@allow(Permission.MEMBERS_WRITE)
def invite() -> ResponseReturnValue:
    """Make an invite and show its link: this answer is the only place where it stands in full."""
    form = InviteForm()
    if form.validate_on_submit():
        try:
            row, token = accounts.invite(db(), scope(), form.email.data, Role(form.role.data))
        except accounts.AccountError as error:
            errors.show(form, error)
        else:
            db().commit()
            # Not the address that the request claims to come by: whoever could choose it would get the token.
            link = get_settings().portal_url + url_for("auth.accept_invite", token=token)
            return render_template("members/invited.html", invite=row, link=link), 201
    return _page(form), 422


@bp.post("/invites/<uuid:invite_id>/revoke")
@allow(Permission.MEMBERS_WRITE)
def revoke_invite(invite_id: UUID) -> ResponseReturnValue:
    row = get_or_404(Invite, invite_id)
    accounts.revoke_invite(db(), scope(), row)
    db().commit()
    flash(f"The invite to {row.email} is revoked.", "success")
    return _back()


@bp.post("/<uuid:user_id>/role")
@allow(Permission.MEMBERS_WRITE)
def change_role(user_id: UUID) -> ResponseReturnValue:
    user = get_or_404(User, user_id)
    form = RoleForm()
    if not form.validate_on_submit():
        flash("Choose one of the roles.", "error")
        return _back()
    return _try(
        lambda: accounts.change_role(db(), scope(), user, Role(form.role.data)),
        f"{user.name} is {form.role.data} now.",
    )


@bp.post("/<uuid:user_id>/deactivate")
@allow(Permission.MEMBERS_WRITE)
def deactivate(user_id: UUID) -> ResponseReturnValue:
    user = get_or_404(User, user_id)
    return _try(lambda: accounts.deactivate(db(), scope(), user), f"{user.name} can no longer sign in.")


@bp.post("/<uuid:user_id>/reactivate")
@allow(Permission.MEMBERS_WRITE)
def reactivate(user_id: UUID) -> ResponseReturnValue:
    user = get_or_404(User, user_id)
    return _try(lambda: accounts.reactivate(db(), scope(), user), f"{user.name} can sign in again.")


@bp.post("/<uuid:user_id>/second-factor/take-away")
@allow(Permission.MEMBERS_WRITE)
def take_second_factor_away(user_id: UUID) -> ResponseReturnValue:
    user = get_or_404(User, user_id)
    return _try(
        lambda: second_factor.take_away(db(), scope(), user),
        f"{user.name} signs in with their password alone now.",
    )


def _page(form: InviteForm) -> str:
    users = db().scalars(select(User).order_by(User.deactivated_at.is_not(None), User.name, User.email)).all()
    invites = db().scalars(
        select(Invite)
        .where(Invite.accepted_at.is_(None), Invite.revoked_at.is_(None))
        .order_by(Invite.created_at.desc())
    )
    return render_template(
        "members/index.html",
        form=form,
        users=users,
        invites=invites.all(),
        now=now(),
        with_second_factor=second_factor.among(db(), users),
        role_forms={user.id: RoleForm(formdata=None, role=user.role.value) for user in users},
    )


def _try(change: Callable[[], None], done: str) -> ResponseReturnValue:
    """Make the change and say so, or say why it cannot be made."""
    try:
        change()
    except accounts.AccountError as error:
        flash(str(error), "error")
    else:
        db().commit()
        flash(done, "success")
    return _back()


def _back() -> ResponseReturnValue:
    return redirect(url_for("members.index"), code=303)
