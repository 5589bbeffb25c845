"""Numbers without a gap: taken in the transaction that makes the document, so that a rollback gives them back."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models.billing import InvoiceCounter
from core.models.payments import CreditNoteCounter


def take_number(session: Session, counter: type[InvoiceCounter | CreditNoteCounter], year: int) -> str:
    """The year's next number, "2026-000012". Who else wants one waits until this transaction ends."""
    last = session.scalars(
        insert(counter)
        .values(year=year, last=1)
        .on_conflict_do_update(index_elements=["year"], set_={"last": counter.last + 1})
        .returning(counter.last)
    ).one()
    return f"{year}-{last:06d}"
