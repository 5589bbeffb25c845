"""All tenants' credit notes, for finance."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.csv_export import to_csv
from billing.periods import Month
from core.models.billing import Invoice
from core.models.payments import CreditNote
from core.models.tenants import Tenant


class ListedNote(NamedTuple):
    """A credit note with the invoice that it takes back from."""

    note: CreditNote
    invoice: Invoice
    tenant: Tenant


def list_notes(session: Session, month: Month) -> list[ListedNote]:
    """The credit notes issued in a month, the latest first. Wants an operator session."""
    rows = session.execute(
        select(CreditNote, Invoice, Tenant)
        .join(Invoice, Invoice.id == CreditNote.invoice_id)
        .join(Tenant, Tenant.id == CreditNote.tenant_id)
        .where(CreditNote.issued_at >= month.start, CreditNote.issued_at < month.end)
        .order_by(CreditNote.number.desc())
    )
    return [ListedNote(*row) for row in rows]


def notes_csv(notes: Iterable[ListedNote]) -> str:
    """Credit notes as CSV, one a row; amounts in cents."""
    header = (
        "credit_note",
        "invoice",
        "tenant",
        "tenant_id",
        "issued_at",
        "issued_by",
        "reason",
        "currency",
        "amount_cents",
        "due_cents",
        "refund_cents",
        "credit_cents",
    )
    rows = (
        (
            note.number,
            invoice.number or "",
            tenant.name,
            str(tenant.id),
            note.issued_at.isoformat(),
            note.issued_by,
            note.reason,
            note.currency,
            note.amount_cents,
            note.due_cents,
            note.refund_cents,
            note.credit_cents,
        )
        for note, invoice, tenant in notes
    )
    return to_csv(header, rows)
