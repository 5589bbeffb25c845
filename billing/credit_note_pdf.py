"""A credit note as PDF, set like the invoice that it takes back from."""

from typing import Any

from billing.invoice_pdf import day, parties, set_pdf
from billing.money import money
from core.config import Settings, get_settings
from core.models.billing import Invoice
from core.models.payments import CreditNote
from core.models.tenants import Tenant


def credit_note_pdf(
    note: CreditNote, invoice: Invoice, tenant: Tenant, tax_cents: int, settings: Settings | None = None
) -> bytes:
    """Set a credit note; `tax_cents` is the tax in it."""
    return set_pdf(credit_note_data(note, invoice, tenant, tax_cents, settings or get_settings()))


def credit_note_data(
    note: CreditNote, invoice: Invoice, tenant: Tenant, tax_cents: int, settings: Settings
) -> dict[str, Any]:
    """What the template shows, as text ready to be set."""
    parts = (
        ("No longer to pay", note.due_cents),
        ("Paid back", note.refund_cents),
        ("Credit for the next invoices", note.credit_cents),
        ("Tax in it", tax_cents),
    )
    return {
        "heading": "Credit note",
        "title": f"Credit note {note.number}",
        **parties(tenant, settings),
        "stamp": None,
        "facts": [
            ("Number", note.number),
            ("Issued", day(note.issued_at)),
            ("For invoice", invoice.number or ""),
            ("Invoiced", day(invoice.issued_at)),
            ("Currency", note.currency),
        ],
        "lines": [],
        "sums": [(name, money(cents, note.currency)) for name, cents in parts if cents],
        "due": ("Credited", money(note.amount_cents, note.currency)),
        "note": [note.reason],
        "payment": None,
    }
