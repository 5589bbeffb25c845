"""Invoices as CSV, for the tenant's books and the operator's."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from billing.csv_export import to_csv
from billing.money import unit_price
from billing.settlement import Settlement
from core.models.billing import Invoice, InvoiceLine
from core.models.tenants import Tenant


def invoice_csv(invoice: Invoice, lines: Iterable[InvoiceLine], tenant_name: str) -> str:
    """An invoice's lines as CSV, one a row, with the invoice's own facts on each; amounts in cents."""
    header = (
        "invoice",
        "tenant",
        "status",
        "period_start",
        "period_end",
        "currency",
        "position",
        "kind",
        "description",
        "from",
        "until",
        "quantity",
        "included_quantity",
        "billable_quantity",
        "cents_per_unit",
        "flat_cents",
        "amount_cents",
    )
    rows = (
        (
            invoice.number or "",
            tenant_name,
            invoice.status.value,
            invoice.period_start.isoformat(),
            invoice.period_end.isoformat(),
            invoice.currency,
            line.position,
            line.kind.value,
            line.description,
            line.starts_at.isoformat(),
            line.ends_at.isoformat(),
            line.quantity,
            line.included_quantity,
            line.billable_quantity,
            unit_price(line.unit_amount),
            unit_price(line.flat_amount),
            line.amount_cents,
        )
        for line in lines
    )
    return to_csv(header, rows)


def invoices_csv(invoices: Iterable[tuple[Invoice, Tenant]], settlements: Mapping[UUID, Settlement]) -> str:
    """Invoices of all tenants as CSV, one a row with how it is settled, for the operator's books; amounts in cents."""
    header = (
        "invoice",
        "tenant",
        "tenant_id",
        "status",
        "period_start",
        "period_end",
        "currency",
        "total_cents",
        "tax_cents",
        "credits_cents",
        "credit_notes_cents",
        "paid_cents",
        "to_pay_cents",
        "collection",
        "issued_at",
        "due_at",
        "paid_at",
        "voided_at",
        "uncollectible_at",
        "payment_reference",
    )
    rows = (
        (
            invoice.number or "",
            tenant.name,
            str(tenant.id),
            invoice.status.value,
            invoice.period_start.isoformat(),
            invoice.period_end.isoformat(),
            invoice.currency,
            invoice.total_cents,
            invoice.tax_cents,
            invoice.credits_cents,
            settlements[invoice.id].noted_cents,
            settlements[invoice.id].paid_cents,
            settlements[invoice.id].to_pay_cents,
            invoice.collection.value,
            *(
                moment.isoformat() if moment else ""
                for moment in (
                    invoice.issued_at,
                    invoice.due_at,
                    invoice.paid_at,
                    invoice.voided_at,
                    invoice.uncollectible_at,
                )
            ),
            invoice.payment_reference or "",
        )
        for invoice, tenant in invoices
    )
    return to_csv(header, rows)
