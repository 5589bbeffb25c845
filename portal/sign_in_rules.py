"""A tenant's rules for signing in: read, and changed by its admins."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import audit
from core.models.sign_in_rules import DEFAULT_SESSION_HOURS, SignInRules
from core.networks import is_within
from core.tenancy import TenantScope
from portal.accounts import AccountError


def rules_of(session: Session, scope: TenantScope) -> SignInRules:
    """The tenant's rules; a row not yet stored with the defaults where it has set none."""
    found = session.scalar(select(SignInRules).where(SignInRules.tenant_id == scope.tenant_id))
    return found or SignInRules(
        tenant_id=scope.tenant_id, session_hours=DEFAULT_SESSION_HOURS, requires_second_factor=False
    )


def change_rules(
    session: Session,
    scope: TenantScope,
    *,
    session_hours: int,
    requires_second_factor: bool,
    networks: Sequence[str],
    address: str | None,
) -> None:
    """Set the tenant's rules, for the sessions that are open as well.

    `networks` are in CIDR notation, `address` is where the admin is: raises AccountError where they would shut
    themselves out.
    """
    if networks and not is_within(address, networks):
        raise AccountError(
            "networks", f"You are at {address}, which is in none of these: you would shut yourself out."
        )
    rules = rules_of(session, scope)
    rules.session_hours = session_hours
    rules.requires_second_factor = requires_second_factor
    rules.networks = list(networks) or None
    session.add(rules)
    session.flush()
    detail = {
        "session_hours": session_hours,
        "requires_second_factor": requires_second_factor,
        "networks": list(networks),
    }
    audit.record(session, scope, "sign_in_rules.changed", rules, detail)
