"""The request's database session, bound to the signed-in user's tenant."""

from typing import TypeVar
from uuid import UUID

from flask import Flask, abort, g
from flask_login import current_user

from core.db import ScopedSession, open_tenant_session
from core.models.base import TenantOwned
from core.tenancy import TenantScope
from portal.identity import SignedInUser

Row = TypeVar("Row", bound=TenantOwned)


def scope() -> TenantScope:
    """The signed-in user's scope. Raises LookupError where a tenant's user is not signed in."""
    person = current_user._get_current_object()
    if not isinstance(person, SignedInUser):
        raise LookupError("No tenant's user is signed in.")
    return person.scope


def db() -> ScopedSession:
    """The request's session, opened at the first call. Views commit; what they do not is rolled back."""
    if "session" not in g:
        g.session = open_tenant_session(scope())
    session: ScopedSession = g.session
    return session


def get_or_404(model: type[Row], row_id: UUID) -> Row:
    """The tenant's row of that id; 404 where there is none, which another tenant's row looks like."""
    row = db().get(model, row_id)
    if row is None:
        abort(404)
    return row


def init_app(app: Flask) -> None:
    """Close the request's session when the request ends."""

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        session = g.pop("session", None)
        if session is not None:
            session.close()
