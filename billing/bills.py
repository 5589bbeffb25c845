"""A tenant's bill for a month, straight from the ledger: its invoice, and until then its running cost.

Late usage is what the ledger has of an already invoiced month beyond the lines invoiced for it. It is found
by comparing the two, not by a time stamp: a transaction under way while a month was closed is not lost.

A month that was invoiced early was charged its fee up to then, by days; the rest is late, like its usage.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Integer, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.plans import DEFAULT_PLAN_CODE, get_plan, list_holdings, list_prices
from billing.rating import Line, Price, Span, by_span, clip, rate_platform_fee, rate_spans, total_cents
from billing.schedule import Holding, plan_at, spans_between
from core.models.billing import ClosedMonth, Invoice, InvoiceLine, Plan, PriceKind
from core.models.usage import UsageFact

USAGE_KINDS = (PriceKind.PREDICTION, PriceKind.TRAINING, PriceKind.CHAT_INPUT, PriceKind.CHAT_OUTPUT)

Used = Mapping[PriceKind, Sequence[tuple[datetime, int]]]
"""Tokens of each kind, with a moment of the stretch between price changes in which they were used."""

_COMMIT_MARGIN = timedelta(days=1)
"""A fact's `recorded_at` is when its transaction began; none stays open for as long as this."""


@dataclass(frozen=True)
class Bill:
    """What a tenant owes for a month, by the ledger as it stands."""

    month: Month
    plan: Plan
    lines: Sequence[Line]

    @property
    def currency(self) -> str:
        return self.plan.currency

    @property
    def total_cents(self) -> int:
        return total_cents(self.lines)


@dataclass(frozen=True)
class Schedule:
    """The prices that a tenant has over a month, by kind."""

    month: Month
    spans: Mapping[PriceKind, Sequence[Span]]

    @property
    def cuts(self) -> list[datetime]:
        """Every moment of the month at which some price begins: between two of them, none changes."""
        return sorted({span.start for spans in self.spans.values() for span in spans})


@dataclass(frozen=True)
class Terms:
    """What decides a tenant's prices: the plans that it held, and the catalogue."""

    tenant_id: UUID
    holdings: Sequence[Holding]
    prices: Sequence[Price]

    def schedule(self, month: Month) -> Schedule:
        """Lay the plans and the catalogue's prices over a month."""
        return Schedule(
            month,
            {
                kind: spans_between(
                    month.start, month.end, kind, self.holdings, self.prices, DEFAULT_PLAN_CODE
                )
                for kind in PriceKind
            },
        )


def load_terms(session: Session, tenant_id: UUID, prices: Sequence[Price] | None = None) -> Terms:
    """Read a tenant's terms; `prices` saves reading the catalogue again."""
    return Terms(
        tenant_id, list_holdings(session, tenant_id), list_prices(session) if prices is None else prices
    )


def tenant_bill(
    session: Session,
    tenant_id: UUID,
    month: Month,
    prices: Sequence[Price] | None = None,
    *,
    fee_until: datetime | None = None,
) -> Bill:
    """Rate a tenant's month: its fee and usage, and what is left to charge of months invoiced before.

    `prices` saves reading the catalogue again where many tenants are billed. `fee_until` leaves out the fee of
    the days that have not ended by then, which a later bill charges.
    """
    terms = load_terms(session, tenant_id, prices)
    in_force = terms.schedule(month)
    return bill_of_usage(session, terms, in_force, _used(session, tenant_id, in_force), fee_until)


def bill_of_usage(
    session: Session, terms: Terms, in_force: Schedule, used: Used, fee_until: datetime | None = None
) -> Bill:
    """The bill where the month's own usage was read already."""
    month = in_force.month
    fee_spans = clip(in_force.spans[PriceKind.PLATFORM], month.start, fee_until or month.end)
    lines = rate_platform_fee(month, fee_spans)
    for kind in USAGE_KINDS:
        spans = in_force.spans[kind]
        lines += rate_spans(month, spans, by_span(spans, used.get(kind, ())))
    for late_month, fee_since in _late_months(session, terms.tenant_id, month).items():
        lines += _late_lines(session, terms.tenant_id, terms.schedule(late_month), fee_since)
    last_moment = month.end - timedelta(microseconds=1)
    return Bill(month, get_plan(session, plan_at(last_moment, terms.holdings, DEFAULT_PLAN_CODE)), lines)


def bucket_of(cuts: Iterable[datetime]) -> ColumnElement[int]:
    """The SQL for which of `cuts` a fact follows, counted from 1."""
    thresholds = cast(list(cuts), ARRAY(DateTime(timezone=True)))
    return func.width_bucket(UsageFact.occurred_at, thresholds, type_=Integer)


def _used(session: Session, tenant_id: UUID, in_force: Schedule) -> Used:
    """The month's tokens of each kind, summed between the moments at which a price changes."""
    cuts = in_force.cuts
    bucket = bucket_of(cuts)
    rows = session.execute(
        select(UsageFact.kind, bucket, func.sum(UsageFact.quantity))
        .where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.occurred_at >= in_force.month.start,
            UsageFact.occurred_at < in_force.month.end,
        )
        .group_by(UsageFact.kind, bucket)
    )
    used: dict[PriceKind, list[tuple[datetime, int]]] = {kind: [] for kind in USAGE_KINDS}
    for kind, number, tokens in rows:
        used[PriceKind(kind)].append((cuts[number - 1], int(tokens)))
    return used


def _late_months(session: Session, tenant_id: UUID, month: Month) -> dict[Month, datetime | None]:
    """Earlier months, invoiced already, of which something may be left to charge; in order.

    Each with the moment up to which its fee was charged, where that is before its end.

    Nothing recorded before the month before can be among them: that month's own bill had it.
    """
    month_of_fact = func.date_trunc("month", UsageFact.occurred_at, "UTC")
    with_facts = session.scalars(
        select(month_of_fact)
        .where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.occurred_at < month.start,
            UsageFact.recorded_at >= month.previous.start - _COMMIT_MARGIN,
        )
        .distinct()
    )
    issued = {
        Month.containing(start): at
        for start, at in session.execute(
            select(Invoice.period_start, Invoice.issued_at).where(Invoice.tenant_id == tenant_id)
        )
    }
    early = {one: at for one, at in issued.items() if at is not None and at < one.end}
    candidates = {Month.containing(start) for start in with_facts}
    candidates |= {month.previous} & early.keys()
    closed_until = session.scalar(select(func.max(ClosedMonth.month))) if candidates else None
    return {
        one: early.get(one)
        for one in sorted(candidates)
        if one in issued or (closed_until and one.days[0] <= closed_until)
    }


def _late_lines(
    session: Session, tenant_id: UUID, in_force: Schedule, fee_since: datetime | None
) -> list[Line]:
    """What is left to charge of a month beyond its lines so far.

    That is what the ledger has beyond them, which takes what is left of that month's quota, and the fee of the
    days from `fee_since` on that no line has.
    """
    month = in_force.month
    lines: list[Line] = []
    if fee_since is not None:
        fee_since = max(fee_since, _fee_billed_until(session, tenant_id, month) or fee_since)
        rest = clip(in_force.spans[PriceKind.PLATFORM], fee_since, month.end)
        lines += rate_platform_fee(month, rest, late=True)
    used = _used(session, tenant_id, in_force)
    billed = _billed(session, tenant_id, month.days[0])
    for kind in USAGE_KINDS:
        spans = in_force.spans[kind]
        remaining = []
        for span, quantity in zip(spans, by_span(spans, used[kind]), strict=True):
            # A tenant that left a plan and came back has two spans of one price: the first goes first.
            already = min(quantity, billed.quantity.get(span.price.id, 0))
            billed.quantity[span.price.id] = billed.quantity.get(span.price.id, 0) - already
            remaining.append(quantity - already)
        lines += rate_spans(month, spans, remaining, consumed=billed.included.get(kind, 0), late=True)
    return lines


@dataclass(frozen=True)
class _Billed:
    """What invoice lines have charged of a month: tokens by price, and quota given by kind."""

    quantity: dict[UUID, int]
    included: dict[PriceKind, int]


def _billed(session: Session, tenant_id: UUID, usage_month: date) -> _Billed:
    billed = _Billed({}, {})
    rows = session.execute(
        select(
            InvoiceLine.kind,
            InvoiceLine.price_id,
            func.sum(InvoiceLine.quantity),
            func.sum(InvoiceLine.included_quantity),
        )
        .where(InvoiceLine.tenant_id == tenant_id, InvoiceLine.usage_month == usage_month)
        .group_by(InvoiceLine.kind, InvoiceLine.price_id)
    )
    for kind, price_id, quantity, included in rows:
        billed.quantity[price_id] = int(quantity)
        billed.included[kind] = billed.included.get(kind, 0) + int(included)
    return billed


def _fee_billed_until(session: Session, tenant_id: UUID, month: Month) -> datetime | None:
    """The end of the last stretch of a month for which a line has charged the fee."""
    return session.scalar(
        select(func.max(InvoiceLine.ends_at)).where(
            InvoiceLine.tenant_id == tenant_id,
            InvoiceLine.kind == PriceKind.PLATFORM,
            InvoiceLine.usage_month == month.days[0],
        )
    )
