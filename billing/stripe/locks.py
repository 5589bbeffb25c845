"""What keeps two processes from doing the same thing at Stripe at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.db import operator_session

_WAIT = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_TRY = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


def hold_object(session: Session, stripe_id: str) -> None:
    """Wait for whoever else is at an object of Stripe's, and keep them out until the transaction ends.

    Fetched under it, an object is never older than what the mirror has.
    """
    session.execute(_WAIT, {"name": f"stripe:{stripe_id}"})


@contextmanager
def held(name: str) -> Iterator[bool]:
    """Hold `name` over several transactions and calls; False where somebody else does."""
    with operator_session("hold a lock that other transactions see") as session:
        yield bool(session.scalar(_TRY, {"name": f"stripe:{name}"}))
