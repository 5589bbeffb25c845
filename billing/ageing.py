"""Receivables by how long they are overdue: what is left to pay of open invoices, to the cent."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.csv_export import to_csv
from billing.invoices import is_overdue
from billing.settlement import settlements
from core.models.billing import Invoice, InvoiceStatus
from core.models.tenants import Tenant


class Age(StrEnum):
    """How many days an invoice is overdue."""

    CURRENT = "current"
    DAYS_1_30 = "1-30"
    DAYS_31_60 = "31-60"
    DAYS_61_90 = "61-90"
    OVER_90 = "over-90"


_LAST_DAYS = ((0, Age.CURRENT), (30, Age.DAYS_1_30), (60, Age.DAYS_31_60), (90, Age.DAYS_61_90))


@dataclass(frozen=True)
class Receivable:
    """An open invoice with something left to pay, in cents, and the days since it was due; 0 while it is not."""

    invoice: Invoice
    tenant: Tenant
    left_cents: int
    days_overdue: int

    @property
    def age(self) -> Age:
        return age_of(self.days_overdue)


@dataclass(frozen=True)
class AgedRow:
    """What one tenant owes, or all of them where `tenant` is None, in one currency: cents by age."""

    tenant: Tenant | None
    currency: str
    cents: Mapping[Age, int]

    @property
    def total_cents(self) -> int:
        return sum(self.cents.values())


def age_of(days_overdue: int) -> Age:
    """The column that so many days belong to."""
    return next((age for last, age in _LAST_DAYS if days_overdue <= last), Age.OVER_90)


def list_receivables(session: Session, at: datetime) -> list[Receivable]:
    """What is owed of open invoices, what is due the longest first. Wants an operator session."""
    rows = session.execute(
        select(Invoice, Tenant)
        .join(Tenant, Tenant.id == Invoice.tenant_id)
        .where(Invoice.status == InvoiceStatus.OPEN)
        .order_by(Invoice.due_at, Invoice.number)
    ).all()
    settled = settlements(session, [invoice for invoice, _ in rows])
    return [
        Receivable(invoice, tenant, settled[invoice.id].to_pay_cents, days_overdue(invoice, at))
        for invoice, tenant in rows
        if settled[invoice.id].to_pay_cents
    ]


def days_overdue(invoice: Invoice, at: datetime) -> int:
    """The UTC days since an invoice's due day; the first begins when that day is over."""
    if invoice.due_at is None or not is_overdue(invoice, at):
        return 0
    return max(1, (at.date() - invoice.due_at.date()).days)


def by_tenant(receivables: Iterable[Receivable]) -> list[AgedRow]:
    """A row for each tenant and currency, by the tenant's name."""
    groups: dict[tuple[str, str, str], list[Receivable]] = defaultdict(list)
    for one in receivables:
        groups[one.tenant.name.lower(), str(one.tenant.id), one.invoice.currency].append(one)
    return [_row(group[0].tenant, group) for _, group in sorted(groups.items())]


def in_total(receivables: Iterable[Receivable]) -> list[AgedRow]:
    """A row for each currency, over all tenants."""
    groups: dict[str, list[Receivable]] = defaultdict(list)
    for one in receivables:
        groups[one.invoice.currency].append(one)
    return [_row(None, group) for _, group in sorted(groups.items())]


def _row(tenant: Tenant | None, receivables: Sequence[Receivable]) -> AgedRow:
    cents = dict.fromkeys(Age, 0)
    for one in receivables:
        cents[one.age] += one.left_cents
    return AgedRow(tenant, receivables[0].invoice.currency, cents)


def receivables_csv(receivables: Iterable[Receivable]) -> str:
    """Receivables as CSV, one a row; amounts in cents."""
    header = ("invoice", "tenant", "tenant_id", "due_at", "days_overdue", "age", "currency", "left_cents")
    rows = (
        (
            one.invoice.number or "",
            one.tenant.name,
            str(one.tenant.id),
            one.invoice.due_at.isoformat() if one.invoice.due_at else "",
            one.days_overdue,
            one.age.value,
            one.invoice.currency,
            one.left_cents,
        )
        for one in receivables
    )
    return to_csv(header, rows)
