"""What keeps changes of one tenant's or all tenants' money from happening at once."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_BILLING = text("SELECT pg_advisory_xact_lock(hashtext('billing'))")
_CREDITS = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 0))")


def hold_billing(session: Session) -> None:
    """Wait for whoever else makes invoices or changes prices, and keep them out until the transaction ends.

    An invoice that was rated while a change of an earlier moment was not committed yet would charge the
    wrong price, and the right one again later. Take it before any row's lock.
    """
    session.execute(_BILLING)


def hold_credits(session: Session, tenant_id: UUID) -> None:
    """Keep others from drawing on a tenant's credits until the transaction ends."""
    session.execute(_CREDITS, {"tenant": f"credits {tenant_id}"})
