"""An invoice as PDF, set by Typst. The same invoice gives the same bytes: no clock, and only Typst's own fonts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typst

from billing.money import money
from billing.payments import payment_provider
from billing.settlement import Settlement
from billing.wording import charge_in_words, days_of, sums_of
from core.config import Settings, get_settings
from core.models.billing import Collection, Invoice, InvoiceLine, InvoiceStatus
from core.models.tenants import Tenant

TEMPLATE = Path(__file__).with_name("invoice.typ")


def invoice_pdf(
    invoice: Invoice,
    lines: Sequence[InvoiceLine],
    tenant: Tenant,
    settlement: Settlement,
    settings: Settings | None = None,
) -> bytes:
    """Set an invoice with its lines and what was set against it; the seller is the settings'."""
    return set_pdf(invoice_data(invoice, lines, tenant, settlement, settings or get_settings()))


def set_pdf(data: Mapping[str, Any]) -> bytes:
    """Set what the template shows, an invoice's or a credit note's."""
    pdf: bytes = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        format="pdf",
        sys_inputs={"invoice": json.dumps(data)},
        ignore_system_fonts=True,
    )
    return pdf


def invoice_data(
    invoice: Invoice,
    lines: Sequence[InvoiceLine],
    tenant: Tenant,
    settlement: Settlement,
    settings: Settings,
) -> dict[str, Any]:
    """What the template shows, as text ready to be set."""
    currency = invoice.currency
    is_transferred = (
        settlement.to_pay_cents > 0
        and invoice.number is not None
        and invoice.collection is Collection.BANK_TRANSFER
    )
    payment = payment_provider(settings).instructions(invoice) if is_transferred else None
    return {
        "heading": "Invoice",
        "title": f"Invoice {invoice.number}" if invoice.number else "Draft of an invoice",
        **parties(tenant, settings),
        "stamp": _stamp(invoice),
        "facts": [
            ("Number", invoice.number or ""),
            ("Issued", day(invoice.issued_at)),
            ("Due", day(invoice.due_at)),
            ("Period", _period(invoice)),
            ("Currency", currency),
        ],
        "lines": [
            {
                "description": line.description,
                "days": days_of(line),
                "quantity": f"{line.quantity:,}",
                "included": f"{line.included_quantity:,}",
                "billable": f"{line.billable_quantity:,}",
                "unit_price": charge_in_words(line, currency),
                "amount": money(line.amount_cents, currency),
            }
            for line in lines
        ],
        "sums": [
            (name, money(cents, currency))
            for name, cents in [("Total", invoice.total_cents), *sums_of(invoice, settlement)]
        ],
        "due": ("Amount due", money(settlement.to_pay_cents, currency)),
        "note": invoice.note.splitlines() if invoice.note else None,
        "payment": {"title": payment.title, "details": payment.details} if payment else None,
    }


def parties(tenant: Tenant, settings: Settings) -> dict[str, Any]:
    """Who asks whom, as the template shows it."""
    return {
        "seller": {"name": settings.seller_name, "address": _lines(settings.seller_address)},
        "tenant": {"name": tenant.name, "id": str(tenant.id)},
    }


def _stamp(invoice: Invoice) -> dict[str, Any] | None:
    """The box that says that nothing is to be paid, and why."""
    if invoice.status is InvoiceStatus.DRAFT:
        return {"bad": True, "title": "Draft", "text": "It is being checked: do not pay it."}
    if invoice.status is InvoiceStatus.PAID:
        reference = f"Reference: {invoice.payment_reference}" if invoice.payment_reference else ""
        return {"bad": False, "title": f"Paid on {day(invoice.paid_at)}", "text": reference}
    if invoice.status is InvoiceStatus.VOID:
        return {
            "bad": True,
            "title": f"Void since {day(invoice.voided_at)}",
            "text": "Do not pay this invoice.",
        }
    return None


def _period(invoice: Invoice) -> str:
    last = invoice.period_end - timedelta.resolution
    return f"{invoice.period_start:%-d %b} – {last:%-d %b %Y}"


def day(at: datetime | None) -> str:
    """A day as documents write it: 3 Feb 2025."""
    return "" if at is None else f"{at:%-d %b %Y}"


def _lines(text: str) -> list[str]:
    """The lines of an address; a variable of the environment writes a new one as \\n."""
    return [line.strip() for line in text.replace("\\n", "\n").splitlines() if line.strip()]
