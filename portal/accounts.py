"""Accounts: signing a tenant up, signing people in, invites, and staff."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.credits import grant_credit
from billing.plans import DEFAULT_PLAN_CODE, get_plan, subscribe
from core import audit
from core.clock import now
from core.config import get_settings
from core.crypto import new_data_key
from core.models.credit_grants import CreditKind
from core.models.staff import StaffMember
from core.models.tenants import Tenant, TenantStatus
from core.models.users import Invite, User
from core.passwords import (
    MAXIMUM_LENGTH,
    MINIMUM_LENGTH,
    hash_password,
    is_easily_guessed,
    verify_password,
    waste_time,
)
from core.tenancy import ROLE_PERMISSIONS, Actor, ActorKind, Role, StaffRole, TenantScope

TERMS_VERSION = "2026-11"
INVITE_LIFETIME = timedelta(days=7)


class AccountError(Exception):
    """What was asked for cannot be done; the message is for the person who asked. `field` is the form's."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def normalise_email(email: str) -> str:
    """The address in the form that is stored. Raises AccountError if it is none."""
    try:
        return validate_email(email.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        raise AccountError("email", "Enter an e-mail address, like ada@example.com.") from None


def check_password(password: str, *words: str) -> str:
    """`password` itself. Raises AccountError if it is too short or too long, or easily guessed.

    `words` are the person's address, their name, and what else is known of them.
    """
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise AccountError("password", f"Use {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters.")
    if is_easily_guessed(password, words):
        raise AccountError(
            "password", "This password is easily guessed. Use a few words that only you would put together."
        )
    return password


def sign_up(
    session: Session, *, tenant_name: str, name: str, email: str, password: str
) -> tuple[Tenant, User]:
    """Make a tenant with its first admin, on the default plan and with the trial's credit.

    `session` is an operator session.

    Raises AccountError for an address that is taken or a password that is too short.
    """
    tenant_name = _required("tenant_name", tenant_name)
    user_name = _required("name", name)
    address = free_address(session, email)
    check_password(password, address, user_name, tenant_name)
    tenant_id = uuid4()
    tenant = Tenant(
        id=tenant_id,
        name=tenant_name,
        status=TenantStatus.ACTIVE,
        wrapped_data_key=new_data_key(get_settings().master_key, tenant_id),
        terms_version=TERMS_VERSION,
    )
    session.add(tenant)
    session.flush()
    user = _add_user(session, tenant_id, user_name, address, password, Role.ADMIN)
    subscribe(session, tenant_id, DEFAULT_PLAN_CODE, at=now())
    _give_trial_credit(session, tenant_id)
    audit.record(session, _scope_of(user), "tenant.signed_up", tenant, {"terms_version": TERMS_VERSION})
    return tenant, user


def _give_trial_credit(session: Session, tenant_id: UUID) -> None:
    cents = get_settings().trial_credit_cents
    if cents:
        actor = Actor(ActorKind.SYSTEM, None, "sign-up")
        currency = get_plan(session, DEFAULT_PLAN_CODE).currency
        grant_credit(session, actor, tenant_id, CreditKind.TRIAL, cents, currency, "Trial")


def find_user(session: Session, email: str, password: str) -> User | StaffMember | None:
    """The user or member of staff with that address and password, if they may sign in.

    `session` is an operator session. Takes as long for an address that nobody has.
    """
    person = _find_by_address(session, email.strip().lower())
    if person is None:
        waste_time(password)
        return None
    if not verify_password(person.password_hash, password) or not may_sign_in(session, person):
        return None
    return person


def find_person(session: Session, email: str) -> User | StaffMember | None:
    """The user or member of staff with that address, if they may sign in. `session` is an operator session."""
    person = _find_by_address(session, email.strip().lower())
    return person if person is not None and may_sign_in(session, person) else None


def find_waiting(session: Session, person_id: UUID) -> User | StaffMember | None:
    """The person of that id, whose password was right and whose second factor is to come; their row is locked.

    `session` is an operator session. None where they may not sign in.
    """
    person = session.get(User, person_id, with_for_update=True) or session.get(
        StaffMember, person_id, with_for_update=True
    )
    return person if person is not None and may_sign_in(session, person) else None


def may_sign_in(session: Session, person: User | StaffMember) -> bool:
    """Whether the person is not deactivated, and their tenant open. `session` is an operator session."""
    if person.deactivated_at is not None:
        return False
    if isinstance(person, StaffMember):
        return True
    return session.get_one(Tenant, person.tenant_id).status.may_sign_in


def invite(session: Session, scope: TenantScope, email: str, role: Role) -> tuple[Invite, str]:
    """Invite `email` to the tenant: the invite, and the token that its link carries and nothing else shows.

    An open invite to the same address is replaced. Raises AccountError for a user that is already there.
    """
    address = normalise_email(email)
    if session.scalar(select(User.id).where(User.email == address)) is not None:
        raise AccountError("email", "This person is a member already.")
    for open_invite in session.scalars(
        select(Invite).where(
            Invite.email == address, Invite.accepted_at.is_(None), Invite.revoked_at.is_(None)
        )
    ):
        open_invite.revoked_at = now()
    session.flush()
    token = secrets.token_urlsafe(32)
    row = Invite(
        tenant_id=scope.tenant_id,
        email=address,
        role=role,
        token_digest=_token_digest(token),
        invited_by_id=scope.actor.id,
        expires_at=now() + INVITE_LIFETIME,
    )
    session.add(row)
    session.flush()
    audit.record(session, scope, "invite.created", row, {"email": address, "role": role})
    return row, token


def revoke_invite(session: Session, scope: TenantScope, row: Invite) -> None:
    """Make the invite's link useless. Has no effect on one that was accepted or revoked."""
    if row.accepted_at is None and row.revoked_at is None:
        row.revoked_at = now()
        audit.record(session, scope, "invite.revoked", row, {"email": row.email})


def find_invite(session: Session, token: str) -> Invite | None:
    """The open invite that `token` belongs to. `session` is an operator session: the visitor has no tenant."""
    return session.scalar(
        select(Invite)
        .join(Tenant, Tenant.id == Invite.tenant_id)
        .where(
            Invite.token_digest == _token_digest(token),
            Invite.accepted_at.is_(None),
            Invite.revoked_at.is_(None),
            Invite.expires_at > now(),
            Tenant.status == TenantStatus.ACTIVE,
        )
        .with_for_update(of=Invite)
    )


def accept_invite(session: Session, row: Invite, *, name: str, password: str) -> User:
    """Make the invited person a user of the tenant. `session` is an operator session. Raises AccountError."""
    user_name = _required("name", name)
    address = free_address(session, row.email)
    check_password(password, address, user_name)
    user = _add_user(session, row.tenant_id, user_name, address, password, row.role)
    row.accepted_at = now()
    audit.record(session, _scope_of(user), "invite.accepted", row, {"role": row.role})
    return user


def change_role(session: Session, scope: TenantScope, user: User, role: Role) -> None:
    """Give `user` another role. Raises AccountError if that would leave the tenant without an admin."""
    if user.role is role:
        return
    if role is not Role.ADMIN:
        _keep_an_admin(session, user)
    audit.record(session, scope, "member.role_changed", user, {"from": user.role, "to": role})
    user.role = role


def deactivate(session: Session, scope: TenantScope, user: User) -> None:
    """Shut `user` out from the next request on. Raises AccountError for the tenant's last admin."""
    if user.deactivated_at is None:
        _keep_an_admin(session, user)
        user.deactivated_at = now()
        audit.record(session, scope, "member.deactivated", user, {"email": user.email})


def reactivate(session: Session, scope: TenantScope, user: User) -> None:
    """Let `user` in again, with the role that they had."""
    if user.deactivated_at is not None:
        user.deactivated_at = None
        audit.record(session, scope, "member.reactivated", user, {"email": user.email})


def create_staff(session: Session, *, email: str, name: str, password: str, role: StaffRole) -> StaffMember:
    """Add one of the operator's staff. `session` is an operator session. Raises AccountError."""
    member = StaffMember(
        name=_required("name", name),
        email=free_address(session, email),
        password_hash=hash_password(check_password(password, email, name)),
        role=role,
    )
    session.add(member)
    session.flush()
    actor = Actor(ActorKind.SYSTEM, None, "command line")
    audit.record_staff(session, actor, "staff.created", "staff", member.id, {"role": role})
    return member


def note_login(person: User | StaffMember, at: datetime) -> None:
    person.last_login_at = at


def _keep_an_admin(session: Session, user: User) -> None:
    # The rows are locked, so that two admins who demote each other at once cannot both succeed.
    admins = session.scalars(
        select(User.id).where(User.role == Role.ADMIN, User.deactivated_at.is_(None)).with_for_update()
    ).all()
    if user.role is Role.ADMIN and list(admins) == [user.id]:
        raise AccountError("role", "A tenant needs an admin: make somebody else one first.")


def _add_user(session: Session, tenant_id: UUID, name: str, email: str, password: str, role: Role) -> User:
    user = User(tenant_id=tenant_id, name=name, email=email, password_hash=hash_password(password), role=role)
    session.add(user)
    session.flush()
    return user


def _find_by_address(session: Session, address: str) -> User | StaffMember | None:
    user = session.scalar(select(User).where(User.email == address))
    member = session.scalar(select(StaffMember).where(StaffMember.email == address))
    return user or member  # both are looked for, so that to find nobody takes no longer


def free_address(session: Session, email: str) -> str:
    """The address in the form that is stored, and nobody else's until `session`, an operator session, commits.

    Raises AccountError where it is somebody's, or none.
    """
    address = normalise_email(email)
    # Two sign-ups with one address wait for each other here; the unique constraint would answer with a 500.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(address, 0))))
    if _find_by_address(session, address) is not None:
        raise AccountError("email", "This address has an account already. Sign in instead.")
    return address


def _required(field: str, value: str) -> str:
    text = " ".join(value.split())
    if not 1 <= len(text) <= 120:
        raise AccountError(field, "Enter 1 to 120 characters.")
    return text


def _token_digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _scope_of(user: User) -> TenantScope:
    return TenantScope(
        user.tenant_id, Actor(ActorKind.USER, user.id, user.email), ROLE_PERMISSIONS[user.role]
    )
