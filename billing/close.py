"""Closing a month: one invoice for each tenant with a fee or usage, issued, or a draft where Stripe collects it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.bills import Bill, tenant_bill
from billing.credits import draw_credits
from billing.issuing import issue
from billing.locks import hold_billing
from billing.payments import month_collectors
from billing.periods import Month
from billing.plans import list_prices
from billing.rating import Line
from billing.wording import describe
from core import audit
from core.clock import now
from core.models.billing import (
    ClosedMonth,
    Collection,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    PriceKind,
    Subscription,
)
from core.models.tenants import Tenant
from core.models.usage import UsageFact
from core.tenancy import Actor, ActorKind

log = structlog.get_logger(__name__)


class CloseRefused(Exception):
    """The month cannot be closed now; the message says why, and is fit to show."""


@dataclass(frozen=True)
class DraftInvoice:
    """What closing a month would ask of one tenant."""

    tenant: Tenant
    bill: Bill


@dataclass(frozen=True)
class MonthState:
    """Where the operator stands with a month."""

    month: Month
    closed_at: datetime | None
    closed_by: str | None
    next_to_close: Month

    @property
    def is_closed(self) -> bool:
        return self.closed_at is not None


def month_state(session: Session, month: Month) -> MonthState:
    """Whether a month is closed, and which month's turn it is."""
    row = session.get(ClosedMonth, month.days[0])
    turn = next_to_close(session)
    return (
        MonthState(month, row.closed_at, row.closed_by, turn) if row else MonthState(month, None, None, turn)
    )


def next_to_close(session: Session) -> Month:
    """The month after the latest closed one; while none is, the first of all."""
    latest = session.scalar(select(func.max(ClosedMonth.month)))
    return first_month(session) if latest is None else Month(latest.year, latest.month).next


def first_month(session: Session) -> Month:
    """The first month that had a tenant or usage; the running one while there was neither."""
    beginnings = (
        select(func.min(Tenant.created_at)),
        select(func.min(UsageFact.occurred_at)),
        select(func.min(Subscription.starts_at)),
    )
    begun = [moment for query in beginnings if (moment := session.scalar(query)) is not None]
    return Month.containing(min(begun, default=now()))


def preview(session: Session, month: Month, at: datetime | None = None) -> list[DraftInvoice]:
    """What invoicing the month at a moment, or now, would ask for, by tenant; nothing is written.

    Of a month that is not over, that is its usage and the fee of the days that are; whom Stripe collects from is
    left out, since Stripe asks once the month is over. Wants an operator session.
    """
    fee_until = min(at or now(), month.end)
    invoiced = select(Invoice.tenant_id).where(Invoice.period_start == month.start)
    tenants = session.scalars(
        select(Tenant).where(Tenant.id.not_in(invoiced)).order_by(Tenant.created_at, Tenant.id)
    ).all()
    left_out = month_collectors(session, month) if fee_until < month.end else frozenset()
    prices = list_prices(session)
    drafts = (
        DraftInvoice(tenant, tenant_bill(session, tenant.id, month, prices, fee_until=fee_until))
        for tenant in tenants
        if tenant.id not in left_out
    )
    return [draft for draft in drafts if draft.bill.lines]


def close_month(
    session: Session, month: Month, actor: Actor, *, early: bool = False, at: datetime | None = None
) -> Sequence[Invoice]:
    """Invoice a month that is over and mark it closed; returns the invoices made. The caller commits.

    Closing it again makes none. Closes wait for each other. Each invoice has the tenant's credits drawn; those that
    Stripe collects are drafts without a number, the others are issued. Usage that turns up later goes on the next
    month's invoice.

    `early` invoices the running month as it stands, without closing it: the rest of its usage and fee goes on
    the next month's.

    Wants an operator session. Raises CloseRefused for a month that is not over, or before whose turn it is.
    """
    hold_billing(session)
    at = at or now()
    if session.get(ClosedMonth, month.days[0]) is not None:
        return []
    running = Month.containing(at)
    if month > running or (month == running and not early):
        raise CloseRefused(f"{month.title} is not over: it can be closed from {month.end:%Y-%m-%d} UTC on.")
    if month < running:
        turn = next_to_close(session)
        if month > turn:
            raise CloseRefused(f"{turn.title} is not closed yet: close it first.")
        if month < turn:
            return []
    stripes = month_collectors(session, month)
    invoices = []
    for draft in preview(session, month, at):
        invoice = _draft(session, draft, at, is_stripes=draft.tenant.id in stripes)
        # Stripe's invoice has to agree with a draft before it is issued.
        if invoice.collection is Collection.BANK_TRANSFER:
            issue(session, invoice, at, actor)
        invoices.append(invoice)
    if month < running:
        session.add(ClosedMonth(month=month.days[0], closed_at=at, closed_by=actor.label))
    session.flush()
    total = sum(invoice.total_cents for invoice in invoices)
    audit.record_staff(
        session,
        actor,
        "month.closed" if month < running else "month.invoiced_early",
        ClosedMonth.__tablename__,
        str(month),
        {"invoices": len(invoices), "total_cents": total},
    )
    log.info("month_invoiced", month=str(month), invoices=len(invoices), early=month == running)
    return invoices


def close_due(session: Session, at: datetime | None = None) -> Sequence[Invoice]:
    """Close every month that is over, in order; returns the invoices made. The caller commits."""
    at = at or now()
    actor = Actor(ActorKind.SYSTEM, None, "clock")
    invoices: list[Invoice] = []
    while (month := next_to_close(session)) < Month.containing(at):
        invoices += close_month(session, month, actor, at=at)
    return invoices


def _draft(session: Session, draft: DraftInvoice, at: datetime, *, is_stripes: bool) -> Invoice:
    """Write down what a tenant owes, less its credits. Nothing of it changes from here on but its status."""
    bill = draft.bill
    late = sorted({line.month for line in bill.lines if line.late})
    invoice = Invoice(
        tenant_id=draft.tenant.id,
        status=InvoiceStatus.DRAFT,
        plan_code=bill.plan.code,
        currency=bill.currency,
        period_start=bill.month.start,
        period_end=bill.month.end,
        total_cents=bill.total_cents,
        tax_cents=0,
        credits_cents=0,
        collection=Collection.STRIPE if is_stripes else Collection.BANK_TRANSFER,
        note=_late_note(late) if late else None,
    )
    session.add(invoice)
    session.flush()
    session.add_all(_row(invoice, position, line, at) for position, line in enumerate(bill.lines, start=1))
    draw_credits(session, invoice, at)
    return invoice


def _row(invoice: Invoice, position: int, line: Line, at: datetime) -> InvoiceLine:
    return InvoiceLine(
        tenant_id=invoice.tenant_id,
        invoice_id=invoice.id,
        position=position,
        kind=PriceKind(line.kind),
        price_id=line.span.price.id,
        usage_month=line.month.days[0],
        description=describe(line),
        quantity=line.rated.quantity,
        included_quantity=line.rated.included_quantity,
        billable_quantity=line.rated.billable_quantity,
        unit_amount=line.unit_amount,
        flat_amount=line.flat_amount,
        amount_cents=line.amount_cents,
        starts_at=line.span.start,
        ends_at=max(line.span.start, min(line.span.end, at)),
    )


def _late_note(months: Sequence[Month]) -> str:
    titles = ", ".join(month.title for month in months)
    return f"Includes what was not yet invoiced of {titles}."
