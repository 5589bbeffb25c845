"""Letting somebody in who has shown who they are, and where they go then."""

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from flask import redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user

from core.clock import now
from core.db import ScopedSession
from core.models.staff import StaffMember
from core.models.tenants import Tenant
from core.models.users import User
from portal import accounts, sign_ins
from portal.devices import device_name, network_of
from portal.identity import SignedInStaff, SignedInUser

SECOND_FACTOR_WITHIN = timedelta(minutes=10)
_WAITING = "second_factor"

Person = User | StaffMember


def let_in(db: ScopedSession, person: Person, target: str | None = None) -> ResponseReturnValue:
    """Start a session for `person`, commit it together with what else `db` holds, and send them to `target`."""
    accounts.note_login(person, now())
    row = sign_ins.start(db, person, device_name(request.user_agent.string), network_of(request.remote_addr))
    identity = (
        SignedInStaff(person, row)
        if isinstance(person, StaffMember)
        else SignedInUser(person, db.get_one(Tenant, person.tenant_id), row)
    )
    db.commit()
    # A session that an attacker planted before the sign-in must not become the signed-in one.
    session.clear()
    login_user(identity)
    return redirect(local_path(target) or home_of(identity), code=303)


def ask_for_second_factor(person: Person, target: str | None) -> ResponseReturnValue:
    """Remember that the person's password was right, which by itself signs nobody in, and ask for the rest."""
    session.clear()
    until = now() + SECOND_FACTOR_WITHIN
    session[_WAITING] = {"person": str(person.id), "next": local_path(target), "until": until.timestamp()}
    return redirect(url_for("auth.code"), code=303)


def waiting_id() -> UUID | None:
    """Whose password was right in this browser, if that is not too long ago."""
    waiting = session.get(_WAITING)
    if waiting is None or waiting["until"] < now().timestamp():
        return None
    return UUID(waiting["person"])


def waiting_target() -> str | None:
    """Where they wanted to go."""
    target: str | None = session.get(_WAITING, {}).get("next")
    return target


def forget_waiting() -> ResponseReturnValue:
    """Have them start again with their password."""
    session.pop(_WAITING, None)
    return redirect(url_for("auth.login"), code=303)


def home_of(identity: SignedInUser | SignedInStaff) -> str:
    return url_for("operator_tenants.index") if identity.is_staff else url_for("dashboard.show")


def local_path(target: str | None) -> str | None:
    """`target` if it is a path on this portal, so that a link to the sign-in page cannot send people elsewhere."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target
