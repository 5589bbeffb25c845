"""Who is signed in: a tenant's user or one of the operator's staff, as flask-login sees them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from flask_login import LoginManager, UserMixin
from sqlalchemy import bindparam, exists, select, update

from core.clock import now
from core.config import get_settings
from core.db import ScopedSession, operator_session, tenant_session
from core.models.passkeys import StaffPasskey, UserPasskey
from core.models.sessions import StaffSession, UserSession
from core.models.sign_in_rules import SignInRules
from core.models.staff import StaffMember
from core.models.tenants import Tenant
from core.models.users import User
from core.tenancy import (
    ROLE_PERMISSIONS,
    STAFF_ROLE_PERMISSIONS,
    Actor,
    ActorKind,
    StaffPermission,
    TenantScope,
    system_scope,
)
from portal import sign_ins
from portal.sign_ins import SignIn

login_manager = LoginManager()
login_manager.session_protection = "strong"


FRESH = timedelta(minutes=10)
"""After signing in nobody is asked for their password again for so long."""


class _SignedIn(UserMixin):
    """What a tenant's user and one of the operator's staff have in common."""

    signed_in_at: datetime
    has_passkey: bool
    needs_second_factor: bool

    @property
    def person(self) -> User | StaffMember:
        raise NotImplementedError

    @property
    def has_second_factor(self) -> bool:
        return self.person.totp_secret is not None or self.has_passkey

    @property
    def is_fresh(self) -> bool:
        """Whether the person has just shown that it is them, so that they need not again."""
        return self.signed_in_at > now() - FRESH


class SignedInUser(_SignedIn):
    """A tenant's user: their row, their tenant's, their sign-in's, and the scope that they work in."""

    is_staff = False

    def __init__(
        self,
        user: User,
        tenant: Tenant,
        sign_in: SignIn,
        rules: SignInRules | None = None,
        has_passkey: bool = False,
    ) -> None:
        self.user = user
        self.tenant = tenant
        self.session_id = sign_in.id
        self.signed_in_at = sign_in.started_at
        self.has_passkey = has_passkey
        self.needs_second_factor = rules is not None and rules.requires_second_factor
        self.networks = (rules.networks or ()) if rules is not None else ()
        self.scope = TenantScope(
            tenant.id, Actor(ActorKind.USER, user.id, user.email), ROLE_PERMISSIONS[user.role]
        )

    @property
    def person(self) -> User:
        return self.user

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def email(self) -> str:
        return self.user.email

    def get_id(self) -> str:
        return f"user:{self.tenant.id}:{self.session_id}"


class SignedInStaff(_SignedIn):
    """One of the operator's staff."""

    is_staff = True
    networks: Sequence[str] = ()

    def __init__(self, member: StaffMember, sign_in: SignIn, has_passkey: bool = False) -> None:
        self.member = member
        self.session_id = sign_in.id
        self.signed_in_at = sign_in.started_at
        self.has_passkey = has_passkey
        self.needs_second_factor = get_settings().staff_second_factor
        self.actor = Actor(ActorKind.STAFF, member.id, member.email)
        self.permissions: frozenset[StaffPermission] = STAFF_ROLE_PERMISSIONS[member.role]

    @property
    def person(self) -> StaffMember:
        return self.member

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def email(self) -> str:
        return self.member.email

    def get_id(self) -> str:
        return f"staff:{self.session_id}"


@login_manager.user_loader
def load(identity: str) -> SignedInUser | SignedInStaff | None:
    """The person whose id the session cookie holds; None if they may not (or no longer) sign in."""
    kind, *ids = identity.split(":")
    try:
        uuids = [UUID(part) for part in ids]
    except ValueError:
        return None
    if kind == "user" and len(uuids) == 2:
        return _load_user(*uuids)
    if kind == "staff" and len(uuids) == 1:
        return _load_staff(*uuids)
    return None


@contextmanager
def own_session(person: SignedInUser | SignedInStaff) -> Iterator[ScopedSession]:
    """A session that sees the signed-in person's own row: their tenant's, or for staff the operator's."""
    if isinstance(person, SignedInUser):
        with tenant_session(person.scope) as session:
            yield session
    else:
        with operator_session("the operator's staff belong to no tenant") as session:
            yield session


def _load_user(tenant_id: UUID, session_id: UUID) -> SignedInUser | None:
    with tenant_session(system_scope(tenant_id, "sign-in")) as session:
        found = session.execute(_USER_OF_SESSION, {"session_id": session_id}).one_or_none()
        if found is None:
            return None
        row, user, tenant, rules, has_passkey = found
        if user.deactivated_at is not None or not tenant.status.may_sign_in:
            return None
        if sign_ins.is_over(row, rules):
            return None
        _note_seen(session, row)
    return SignedInUser(user, tenant, row, rules, has_passkey)


def _load_staff(session_id: UUID) -> SignedInStaff | None:
    with operator_session("load the signed-in member of staff") as session:
        found = session.execute(_STAFF_OF_SESSION, {"session_id": session_id}).one_or_none()
        if found is None:
            return None
        row, member, has_passkey = found
        if member.deactivated_at is not None or sign_ins.is_over(row, None):
            return None
        _note_seen(session, row)
    return SignedInStaff(member, row, has_passkey)


def _note_seen(session: ScopedSession, row: UserSession | StaffSession) -> None:
    at = now()
    if sign_ins.is_seen_due(row, at):
        # Not by the row: a session that is ended meanwhile is no row any more, and no error either.
        session.execute(update(type(row)).where(type(row).id == row.id).values(last_seen_at=at))
        session.commit()


_USER_OF_SESSION = (
    select(UserSession, User, Tenant, SignInRules, exists().where(UserPasskey.user_id == User.id))
    .join(User, User.id == UserSession.user_id)
    .join(Tenant, Tenant.id == UserSession.tenant_id)
    .outerjoin(SignInRules, SignInRules.tenant_id == UserSession.tenant_id)
    .where(UserSession.id == bindparam("session_id"))
)
_STAFF_OF_SESSION = (
    select(StaffSession, StaffMember, exists().where(StaffPasskey.staff_id == StaffMember.id))
    .join(StaffMember, StaffMember.id == StaffSession.staff_id)
    .where(StaffSession.id == bindparam("session_id"))
)
