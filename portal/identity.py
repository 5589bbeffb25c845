"""Who is signed in: a tenant's user or one of the operator's staff, as flask-login sees them."""

from uuid import UUID

from flask_login import LoginManager, UserMixin
from sqlalchemy import select

from core.db import operator_session, tenant_session
from core.models.staff import StaffMember
from core.models.tenants import Tenant, TenantStatus
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

login_manager = LoginManager()
login_manager.session_protection = "strong"


class SignedInUser(UserMixin):
    """A tenant's user: their row, their tenant's, and the scope that they work in."""

    is_staff = False

    def __init__(self, user: User, tenant: Tenant) -> None:
        self.user = user
        self.tenant = tenant
        self.scope = TenantScope(
            tenant.id, Actor(ActorKind.USER, user.id, user.email), ROLE_PERMISSIONS[user.role]
        )

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def email(self) -> str:
        return self.user.email

    def get_id(self) -> str:
        return f"user:{self.tenant.id}:{self.user.id}"


class SignedInStaff(UserMixin):
    """One of the operator's staff."""

    is_staff = True

    def __init__(self, member: StaffMember) -> None:
        self.member = member
        self.actor = Actor(ActorKind.STAFF, member.id, member.email)
        self.permissions: frozenset[StaffPermission] = STAFF_ROLE_PERMISSIONS[member.role]

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def email(self) -> str:
        return self.member.email

    def get_id(self) -> str:
        return f"staff:{self.member.id}"


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


def _load_user(tenant_id: UUID, user_id: UUID) -> SignedInUser | None:
    with tenant_session(system_scope(tenant_id, "sign-in")) as session:
        row = session.execute(
            select(User, Tenant).join(Tenant, Tenant.id == User.tenant_id).where(User.id == user_id)
        ).one_or_none()
    if row is None or row.User.deactivated_at is not None or row.Tenant.status is not TenantStatus.ACTIVE:
        return None
    return SignedInUser(row.User, row.Tenant)


def _load_staff(member_id: UUID) -> SignedInStaff | None:
    with operator_session("load the signed-in member of staff") as session:
        member = session.get(StaffMember, member_id)
    return None if member is None or member.deactivated_at is not None else SignedInStaff(member)
