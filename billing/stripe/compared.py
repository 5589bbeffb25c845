"""How Stripe's invoices compared with the ledger's, line by line and in all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.csv_export import to_csv
from billing.periods import Month
from core.models.billing import Invoice
from core.models.stripe import StripeInvoice
from core.models.tenants import Tenant


class ComparisonNotFound(LookupError):
    """No invoice of Stripe's that we know has that id."""


@dataclass(frozen=True)
class ComparedLine:
    """One line of the comparison, in cents."""

    line: str
    ledger_cents: int
    stripe_cents: int

    @property
    def difference_cents(self) -> int:
        return self.stripe_cents - self.ledger_cents


@dataclass(frozen=True)
class ComparedInvoice:
    """An invoice of Stripe's with its lines against the ledger's; without any where it was not compared yet."""

    stripe_invoice: StripeInvoice
    invoice: Invoice | None
    tenant: Tenant
    lines: Sequence[ComparedLine]

    @property
    def is_compared(self) -> bool:
        return self.stripe_invoice.comparison is not None

    @property
    def ledger_cents(self) -> int:
        return sum(line.ledger_cents for line in self.lines)

    @property
    def stripe_cents(self) -> int:
        return sum(line.stripe_cents for line in self.lines)

    @property
    def difference_cents(self) -> int:
        """What Stripe asks for beyond the ledger; lines that differ both ways can hide in it, but not in `differs`."""
        return self.stripe_cents - self.ledger_cents

    @property
    def differs(self) -> bool:
        return any(line.difference_cents for line in self.lines)


def list_compared(session: Session, month: Month) -> list[ComparedInvoice]:
    """A month's invoices at Stripe, by tenant. Wants an operator session."""
    rows = session.execute(
        select(StripeInvoice, Invoice, Tenant)
        .join(Tenant, Tenant.id == StripeInvoice.tenant_id)
        .outerjoin(Invoice, Invoice.id == StripeInvoice.invoice_id)
        .where(StripeInvoice.period_end > month.start, StripeInvoice.period_end <= month.end)
        .order_by(Tenant.name, StripeInvoice.period_end)
    )
    return [_compared(*row) for row in rows]


def get_compared(session: Session, row_id: UUID) -> ComparedInvoice:
    """Raises ComparisonNotFound. Wants an operator session."""
    row = session.execute(
        select(StripeInvoice, Invoice, Tenant)
        .join(Tenant, Tenant.id == StripeInvoice.tenant_id)
        .outerjoin(Invoice, Invoice.id == StripeInvoice.invoice_id)
        .where(StripeInvoice.id == row_id)
    ).one_or_none()
    if row is None:
        raise ComparisonNotFound(f"There is no invoice of Stripe's with the id {row_id}.")
    return _compared(*row)


def compared_csv(compared: Iterable[ComparedInvoice]) -> str:
    """Comparisons as CSV, a row for each line; amounts in cents."""
    header = (
        "tenant",
        "invoice",
        "stripe_invoice",
        "currency",
        "line",
        "ledger_cents",
        "stripe_cents",
        "difference_cents",
    )
    rows = (
        (
            one.tenant.name,
            (one.invoice.number or "draft") if one.invoice else "",
            one.stripe_invoice.stripe_invoice_id,
            one.stripe_invoice.currency,
            line.line,
            line.ledger_cents,
            line.stripe_cents,
            line.difference_cents,
        )
        for one in compared
        for line in one.lines
    )
    return to_csv(header, rows)


def _compared(stripe_invoice: StripeInvoice, invoice: Invoice | None, tenant: Tenant) -> ComparedInvoice:
    lines = [
        ComparedLine(line["line"], line["ledger_cents"], line["stripe_cents"])
        for line in stripe_invoice.comparison or ()
    ]
    return ComparedInvoice(stripe_invoice, invoice, tenant, lines)
