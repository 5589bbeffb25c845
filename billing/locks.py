"""What keeps the making of invoices and the changing of prices from happening at once."""

from sqlalchemy import text
from sqlalchemy.orm import Session

_BILLING = text("SELECT pg_advisory_xact_lock(hashtext('billing'))")


def hold_billing(session: Session) -> None:
    """Wait for whoever else makes invoices or changes prices, and keep them out until the transaction ends.

    An invoice that was rated while a change of an earlier moment was not committed yet would charge the
    wrong price, and the right one again later. Take it before any row's lock.
    """
    session.execute(_BILLING)
