"""Invoices after they are issued: find them, mark them paid or void, hand them out as CSV."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.csv_export import to_csv
from billing.money import unit_price
from billing.periods import Month
from core import audit
from core.clock import now
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus
from core.models.tenants import Tenant
from core.tenancy import Actor

REFERENCE_LENGTH = 120

log = structlog.get_logger(__name__)


class InvoiceNotFound(LookupError):
    """No invoice that this session sees has the id or number."""


class InvoiceStateError(Exception):
    """The invoice's status does not allow the change; the message says why, and is fit to show."""


@dataclass(frozen=True)
class InvoiceFilter:
    """Which of all tenants' invoices to list; what is None does not narrow."""

    status: InvoiceStatus | None = None
    month: Month | None = None
    tenant_id: UUID | None = None
    overdue_at: datetime | None = None


@dataclass(frozen=True)
class InvoiceTotals:
    """Sums over a list of invoices in one currency, in cents: what is invoiced is either paid or open."""

    currency: str
    count: int
    invoiced_cents: int
    paid_cents: int
    open_cents: int
    overdue_cents: int
    void_cents: int


def list_invoices(session: Session) -> Sequence[Invoice]:
    """The invoices that a tenant's session sees, newest first."""
    return session.scalars(select(Invoice).order_by(Invoice.period_start.desc(), Invoice.number.desc())).all()


def list_all_invoices(session: Session, wanted: InvoiceFilter) -> list[tuple[Invoice, Tenant]]:
    """Invoices of all tenants with their tenants, newest first. Wants an operator session."""
    query = select(Invoice, Tenant).join(Tenant, Tenant.id == Invoice.tenant_id)
    if wanted.status is not None:
        query = query.where(Invoice.status == wanted.status)
    if wanted.month is not None:
        query = query.where(Invoice.period_start == wanted.month.start)
    if wanted.tenant_id is not None:
        query = query.where(Invoice.tenant_id == wanted.tenant_id)
    if wanted.overdue_at is not None:
        query = query.where(Invoice.status == InvoiceStatus.OPEN, Invoice.due_at < wanted.overdue_at)
    rows = session.execute(query.order_by(Invoice.period_start.desc(), Invoice.number.desc()))
    return [(invoice, tenant) for invoice, tenant in rows]


def totals(invoices: Iterable[Invoice], at: datetime | None = None) -> list[InvoiceTotals]:
    """Sum invoices by currency; void ones count in no sum but their own."""
    at = at or now()
    by_currency: dict[str, list[Invoice]] = {}
    for invoice in invoices:
        by_currency.setdefault(invoice.currency, []).append(invoice)
    sums = []
    for currency, group in sorted(by_currency.items()):
        owed = [invoice for invoice in group if invoice.status is InvoiceStatus.OPEN]
        paid = sum(invoice.total_cents for invoice in group if invoice.status is InvoiceStatus.PAID)
        due = sum(invoice.total_cents for invoice in owed)
        overdue = sum(invoice.total_cents for invoice in owed if is_overdue(invoice, at))
        voided = sum(invoice.total_cents for invoice in group if invoice.status is InvoiceStatus.VOID)
        sums.append(InvoiceTotals(currency, len(group), paid + due, paid, due, overdue, voided))
    return sums


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


def mark_paid(
    session: Session, actor: Actor, invoice_id: UUID, reference: str, paid_at: datetime | None = None
) -> Invoice:
    """Note that an open invoice was paid by bank transfer, with the transfer's reference. The caller commits.

    Wants an operator session. Raises InvoiceNotFound; InvoiceStateError for an invoice that is not open, a
    reference that is empty or too long, and a time before the invoice was issued or in the future.
    """
    reference = reference.strip()
    paid_at = paid_at or now()
    if not 1 <= len(reference) <= REFERENCE_LENGTH:
        raise InvoiceStateError(f"Give the payment's reference, in 1 to {REFERENCE_LENGTH} characters.")
    invoice = _lock_open(session, invoice_id)
    if paid_at > now():
        raise InvoiceStateError("A payment cannot be dated in the future.")
    if invoice.issued_at is not None and paid_at.date() < invoice.issued_at.date():
        raise InvoiceStateError(f"It cannot be paid before {invoice.issued_at:%Y-%m-%d}, when it was issued.")
    invoice.status, invoice.paid_at = InvoiceStatus.PAID, paid_at
    invoice.payment_reference, invoice.marked_by = reference, actor.label
    _note(session, actor, "invoice.paid", invoice, {"reference": reference, "paid_on": f"{paid_at:%Y-%m-%d}"})
    return invoice


def void(session: Session, actor: Actor, invoice_id: UUID, reason: str) -> Invoice:
    """Cancel an open invoice for good: it is not owed, and its usage not invoiced again. The caller commits.

    Wants an operator session. Raises InvoiceNotFound; InvoiceStateError for an invoice that is not open, or
    without a reason.
    """
    reason = reason.strip()
    if not reason:
        raise InvoiceStateError("Say why the invoice is void.")
    invoice = _lock_open(session, invoice_id)
    invoice.status, invoice.voided_at, invoice.marked_by = InvoiceStatus.VOID, now(), actor.label
    invoice.note = "\n".join(filter(None, (invoice.note, f"Void: {reason}")))
    _note(session, actor, "invoice.voided", invoice, {"reason": reason})
    return invoice


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
            line.amount_cents,
        )
        for line in lines
    )
    return to_csv(header, rows)


def invoices_csv(invoices: Iterable[tuple[Invoice, Tenant]]) -> str:
    """Invoices of all tenants as CSV, one a row, for the operator's books; amounts in cents."""
    header = (
        "invoice",
        "tenant",
        "tenant_id",
        "status",
        "period_start",
        "period_end",
        "currency",
        "total_cents",
        "issued_at",
        "due_at",
        "paid_at",
        "voided_at",
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
            *(
                moment.isoformat() if moment else ""
                for moment in (invoice.issued_at, invoice.due_at, invoice.paid_at, invoice.voided_at)
            ),
            invoice.payment_reference or "",
        )
        for invoice, tenant in invoices
    )
    return to_csv(header, rows)


def billed_tenants(session: Session) -> Sequence[Tenant]:
    """The tenants that have an invoice, by name. Wants an operator session."""
    return session.scalars(
        select(Tenant)
        .where(Tenant.id.in_(select(Invoice.tenant_id)))
        .order_by(func.lower(Tenant.name), Tenant.id)
    ).all()


def _lock_open(session: Session, invoice_id: UUID) -> Invoice:
    """The invoice as it is now, held until the transaction ends: of two changes, one sees the other."""
    invoice = session.scalar(
        select(Invoice)
        .where(Invoice.id == invoice_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if invoice is None:
        raise InvoiceNotFound(f"There is no invoice {invoice_id}.")
    if invoice.status is not InvoiceStatus.OPEN:
        raise InvoiceStateError(f"Invoice {invoice.number} is {invoice.status}: only an open one can change.")
    return invoice


def _note(session: Session, actor: Actor, action: str, invoice: Invoice, detail: dict[str, str]) -> None:
    """Into both logs: the tenant may know what happened to its invoice, and the operator who did it."""
    detail = {"number": invoice.number or "", **detail}
    audit.record_for_tenant(session, invoice.tenant_id, actor, action, invoice, detail)
    audit.record_staff(session, actor, action, Invoice.__tablename__, invoice.id, detail)
    log.info(action, invoice=invoice.number)
