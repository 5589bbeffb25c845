"""A tenant's rules for signing in: read, and changed by its admins."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import audit
from core.models.sign_in_rules import DEFAULT_SESSION_HOURS, SignInRules
from core.tenancy import TenantScope


def rules_of(session: Session, scope: TenantScope) -> SignInRules:
    """The tenant's rules; a row not yet stored with the defaults where it has set none."""
    found = session.scalar(select(SignInRules).where(SignInRules.tenant_id == scope.tenant_id))
    return found or SignInRules(
        tenant_id=scope.tenant_id, session_hours=DEFAULT_SESSION_HOURS, requires_second_factor=False
    )


def change_rules(
    session: Session, scope: TenantScope, *, session_hours: int, requires_second_factor: bool
) -> None:
    """Set the tenant's rules, for the sessions that are open as well."""
    rules = rules_of(session, scope)
    rules.session_hours = session_hours
    rules.requires_second_factor = requires_second_factor
    session.add(rules)
    session.flush()
    detail = {"session_hours": session_hours, "requires_second_factor": requires_second_factor}
    audit.record(session, scope, "sign_in_rules.changed", rules, detail)
