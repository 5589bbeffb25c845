"""Finding invoices, and what of them is paid, open and lost."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.settlement import Settlement, settlement_of, settlements
from core import audit
from core.clock import now
from core.models.billing import Collection, Invoice, InvoiceLine, InvoiceStatus
from core.models.tenants import Tenant
from core.tenancy import Actor

log = structlog.get_logger(__name__)


class InvoiceNotFound(LookupError):
    """No invoice that this session sees has the id or number."""


class InvoiceStateError(Exception):
    """The invoice's status does not allow the change; the message says why, and is fit to show."""


@dataclass(frozen=True)
class InvoiceFilter:
    """Which of all tenants' invoices to list; what is None or empty does not narrow.

    `issued_since` and `issued_until` bound the moment of issue, both included; `tenant_name` is a part of the name.
    """

    status: InvoiceStatus | None = None
    month: Month | None = None
    tenant_id: UUID | None = None
    tenant_name: str = ""
    plan_code: str | None = None
    collection: Collection | None = None
    issued_since: datetime | None = None
    issued_until: datetime | None = None
    overdue_at: datetime | None = None
    only_held: bool = False


@dataclass(frozen=True)
class InvoiceTotals:
    """Sums over a list of issued invoices in one currency, in cents, drafts and void ones left out.

    What is invoiced, which is the lines' sum with the tax, is the sum of what is paid, credited, open and
    uncollectible. `credited_cents` is what credits and credit notes took off; an invoice that gave credit, since
    its lines sum below zero, makes it less.
    """

    currency: str
    count: int
    invoiced_cents: int
    paid_cents: int
    credited_cents: int
    open_cents: int
    overdue_cents: int
    uncollectible_cents: int
    void_cents: int


def list_invoices(session: Session) -> Sequence[Invoice]:
    """A tenant's issued invoices, newest first. `session` is the tenant's."""
    return session.scalars(
        select(Invoice)
        .where(Invoice.status != InvoiceStatus.DRAFT)
        .order_by(Invoice.period_start.desc(), Invoice.number.desc())
    ).all()


def months_being_checked(session: Session) -> Sequence[Month]:
    """The months whose invoice is still a draft, newest first. `session` is the tenant's."""
    starts = session.scalars(
        select(Invoice.period_start)
        .where(Invoice.status == InvoiceStatus.DRAFT)
        .order_by(Invoice.period_start.desc())
    )
    return [Month.containing(start) for start in starts]


def list_all_invoices(session: Session, wanted: InvoiceFilter) -> list[tuple[Invoice, Tenant]]:
    """Invoices of all tenants with their tenants, newest first. Wants an operator session."""
    query = select(Invoice, Tenant).join(Tenant, Tenant.id == Invoice.tenant_id)
    query = query.where(*_about(wanted), *_dated(wanted))
    rows = session.execute(query.order_by(Invoice.period_start.desc(), Invoice.number.desc()))
    return [(invoice, tenant) for invoice, tenant in rows]


def _about(wanted: InvoiceFilter) -> Iterator[ColumnElement[bool]]:
    """Whose invoices are wanted, and how they stand."""
    if wanted.status is not None:
        yield Invoice.status == wanted.status
    if wanted.only_held:
        yield Invoice.held_reason.is_not(None)
    if wanted.collection is not None:
        yield Invoice.collection == wanted.collection
    if wanted.tenant_id is not None:
        yield Invoice.tenant_id == wanted.tenant_id
    if wanted.tenant_name:
        yield Tenant.name.icontains(wanted.tenant_name, autoescape=True)
    if wanted.plan_code is not None:
        yield Invoice.plan_code == wanted.plan_code


def _dated(wanted: InvoiceFilter) -> Iterator[ColumnElement[bool]]:
    """Which time they are of."""
    if wanted.month is not None:
        yield Invoice.period_start == wanted.month.start
    if wanted.issued_since is not None:
        yield Invoice.issued_at >= wanted.issued_since
    if wanted.issued_until is not None:
        yield Invoice.issued_at <= wanted.issued_until
    if wanted.overdue_at is not None:
        yield (Invoice.status == InvoiceStatus.OPEN) & (Invoice.due_at < wanted.overdue_at)


def totals(session: Session, invoices: Iterable[Invoice], at: datetime | None = None) -> list[InvoiceTotals]:
    """Sum invoices by currency; void ones count in no sum but their own, drafts in none."""
    at = at or now()
    issued = [invoice for invoice in invoices if invoice.status is not InvoiceStatus.DRAFT]
    settled = settlements(session, issued)
    by_currency: dict[str, list[Invoice]] = {}
    for invoice in issued:
        by_currency.setdefault(invoice.currency, []).append(invoice)
    return [_totals(currency, group, settled, at) for currency, group in sorted(by_currency.items())]


def _totals(
    currency: str, invoices: Sequence[Invoice], settled: Mapping[UUID, Settlement], at: datetime
) -> InvoiceTotals:
    standing = [invoice for invoice in invoices if invoice.status is not InvoiceStatus.VOID]

    def to_pay(group: Iterable[Invoice]) -> int:
        return sum(settled[invoice.id].to_pay_cents for invoice in group)

    open_ones = [invoice for invoice in standing if invoice.status is InvoiceStatus.OPEN]
    return InvoiceTotals(
        currency,
        len(invoices),
        invoiced_cents=sum(invoice.total_cents + invoice.tax_cents for invoice in standing),
        paid_cents=sum(settled[invoice.id].paid_cents for invoice in standing),
        credited_cents=sum(
            invoice.credits_cents + settled[invoice.id].noted_cents + min(0, invoice.total_cents)
            for invoice in standing
        ),
        open_cents=to_pay(open_ones),
        overdue_cents=to_pay(invoice for invoice in open_ones if is_overdue(invoice, at)),
        uncollectible_cents=to_pay(
            invoice for invoice in standing if invoice.status is InvoiceStatus.UNCOLLECTIBLE
        ),
        void_cents=sum(
            invoice.total_cents + invoice.tax_cents
            for invoice in invoices
            if invoice.status is InvoiceStatus.VOID
        ),
    )


def is_overdue(invoice: Invoice, at: datetime | None = None) -> bool:
    """Whether an open invoice's due date has passed."""
    return (
        invoice.status is InvoiceStatus.OPEN and invoice.due_at is not None and invoice.due_at < (at or now())
    )


def get_invoice(session: Session, invoice_id: UUID) -> Invoice:
    """Raises InvoiceNotFound where the session sees no such invoice."""
    invoice = session.get(Invoice, invoice_id)
    if invoice is None:
        raise InvoiceNotFound(f"There is no invoice {invoice_id}.")
    return invoice


def lock_invoice(session: Session, invoice_id: UUID) -> Invoice:
    """The invoice as it is now, held until the transaction ends: of two changes, one sees the other.

    Wants an operator session. Raises InvoiceNotFound.
    """
    invoice = session.scalar(
        select(Invoice)
        .where(Invoice.id == invoice_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if invoice is None:
        raise InvoiceNotFound(f"There is no invoice {invoice_id}.")
    return invoice


def require_status(invoice: Invoice, *statuses: InvoiceStatus) -> None:
    """Raise InvoiceStateError unless the invoice has one of the statuses that a change starts from."""
    if invoice.status not in statuses:
        name = f"Invoice {invoice.number}" if invoice.number else "The draft"
        allowed = " or ".join(statuses)
        raise InvoiceStateError(
            f"{name} is {invoice.status}: only one that is {allowed} can change like this."
        )


def note_change(
    session: Session, actor: Actor, action: str, invoice: Invoice, detail: Mapping[str, object]
) -> None:
    """Into both logs: the tenant may know what happened to its invoice, and the operator who did it."""
    detail = {"number": invoice.number or "", **detail}
    audit.record_for_tenant(session, invoice.tenant_id, actor, action, invoice, detail)
    audit.record_staff(session, actor, action, Invoice.__tablename__, invoice.id, detail)
    log.info(action, invoice=invoice.number)


def to_pay_cents(session: Session, invoice: Invoice) -> int:
    """What is left to pay of an invoice: its lines and tax, less credits, credit notes and payments."""
    return settlement_of(session, invoice).to_pay_cents


def get_invoice_by_number(session: Session, number: str) -> Invoice:
    """Raises InvoiceNotFound where the session sees no such invoice."""
    invoice = session.scalar(select(Invoice).where(Invoice.number == number))
    if invoice is None:
        raise InvoiceNotFound(f"There is no invoice {number}.")
    return invoice


def lines_of(session: Session, invoice: Invoice) -> Sequence[InvoiceLine]:
    """An invoice's lines, in their order."""
    return session.scalars(
        select(InvoiceLine)
        .where(InvoiceLine.tenant_id == invoice.tenant_id, InvoiceLine.invoice_id == invoice.id)
        .order_by(InvoiceLine.position)
    ).all()


def find_unbalanced(session: Session) -> list[tuple[Invoice, int]]:
    """Invoices whose total is not the sum of their lines, with that sum in cents: there must be none.

    Wants an operator session.
    """
    lines_cents = func.coalesce(func.sum(InvoiceLine.amount_cents), 0)
    rows = session.execute(
        select(Invoice, lines_cents)
        .outerjoin(
            InvoiceLine,
            (InvoiceLine.tenant_id == Invoice.tenant_id) & (InvoiceLine.invoice_id == Invoice.id),
        )
        .group_by(Invoice.id)
        .having(lines_cents != Invoice.total_cents)
        .order_by(Invoice.number)
    )
    return [(invoice, int(cents)) for invoice, cents in rows]
