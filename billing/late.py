"""What is left to charge, or to take back, of months that were invoiced before.

That is what such a month costs by the ledger as it stands, less what its lines have charged so far: whatever came
late, early, in parts or was reversed, a month's lines on all invoices add up to what it costs. It is found by
comparing the two, not by a time stamp: a transaction under way while a month was closed is not lost.

A month that was invoiced early was charged its fee up to then, by days; the rest is late, like its usage.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.rating import Line, Rated, Span, charge, clip, rate_minimum, rate_platform_fee, total_cents
from billing.terms import USAGE_KINDS, Schedule, Terms, read_used
from core.models.billing import ClosedMonth, Invoice, InvoiceLine, PriceKind
from core.models.usage import UsageFact

_COMMIT_MARGIN = timedelta(days=1)
"""A fact's `recorded_at` is when its transaction began; none stays open for as long as this."""

_NOTHING = Rated(0, 0, 0)

_At = tuple[UUID, datetime, Decimal]
"""Where a line charges: the price, the beginning of its span, and the amount a unit."""


@dataclass(frozen=True)
class _Charged:
    """What invoices' lines have charged of a month: usage by where, and of its minimum."""

    usage: Mapping[_At, Rated]
    minimum: Rated

    @property
    def usage_cents(self) -> int:
        return sum(rated.amount_cents for rated in self.usage.values())


def late_lines(session: Session, terms: Terms, month: Month) -> list[Line]:
    """What a bill for `month` charges of earlier months, in their order."""
    lines: list[Line] = []
    for late_month, fee_since in _late_months(session, terms.tenant_id, month).items():
        in_force = terms.schedule(late_month)
        lines += _fee_lines(session, terms.tenant_id, in_force, fee_since)
        charged = _charged(session, terms.tenant_id, late_month)
        usage = _usage_lines(session, terms.tenant_id, in_force, charged)
        lines += usage + _minimum_lines(in_force, charged, charged.usage_cents + total_cents(usage))
    return lines


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


def _fee_lines(
    session: Session, tenant_id: UUID, in_force: Schedule, fee_since: datetime | None
) -> list[Line]:
    """The fee of the days from `fee_since` on that no line has; none where it was charged whole."""
    if fee_since is None:
        return []
    month = in_force.month
    fee_since = max(fee_since, _fee_charged_until(session, tenant_id, month) or fee_since)
    rest = clip(in_force.spans[PriceKind.PLATFORM], fee_since, month.end)
    return rate_platform_fee(month, rest, late=True)


def _usage_lines(session: Session, tenant_id: UUID, in_force: Schedule, charged: _Charged) -> list[Line]:
    wanted = in_force.rate_usage(read_used(session, tenant_id, in_force))
    lines: list[Line] = []
    for kind in USAGE_KINDS:
        of_kind = [line for line in wanted if line.kind == kind]
        spans = in_force.spans[kind]
        if _by_span(spans, _at_amounts(of_kind)) == _by_span(spans, charged.usage):
            continue  # The same quantities cost the same, however a line of an older release was rounded.
        for span in spans:
            lines += _differences(span, [line for line in of_kind if line.span == span], charged.usage)
    return lines


def _differences(span: Span, wanted: Sequence[Line], charged: Mapping[_At, Rated]) -> list[Line]:
    """One span's lines for what it costs beyond what was charged, by amount a unit."""
    costs = _at_amounts(wanted)
    gone = [at for at in charged if at[:2] == (span.price.id, span.start) and at not in costs]
    beyond = {line.unit_amount: line.beyond for line in reversed(wanted)}
    month = Month.containing(span.start)
    lines = []
    for at in (*costs, *sorted(gone)):
        rest = costs.get(at, _NOTHING) - charged.get(at, _NOTHING)
        if rest != _NOTHING:
            lines.append(_late_line(month, span, at[2], rest, beyond.get(at[2], 0)))
    return lines


def _minimum_lines(in_force: Schedule, charged: _Charged, usage_cents: int) -> list[Line]:
    spans = in_force.spans[PriceKind.MINIMUM]
    wanted = rate_minimum(in_force.month, spans, usage_cents)
    rest = (wanted[0].rated if wanted else _NOTHING) - charged.minimum
    if rest == _NOTHING:
        return []
    span, unit_amount = (
        (wanted[0].span, wanted[0].unit_amount) if wanted else (spans[-1], spans[-1].price.unit_amount)
    )
    return [_late_line(in_force.month, span, unit_amount, rest)]


def _late_line(month: Month, span: Span, unit_amount: Decimal, rated: Rated, beyond: int = 0) -> Line:
    # Beside flat amounts, this is what lines before it lost or won by rounding.
    flat_amount = Decimal(rated.amount_cents - charge(rated.billable_quantity, unit_amount))
    return Line(month, span, unit_amount, rated, late=True, flat_amount=flat_amount, beyond=beyond)


def _at_amounts(lines: Iterable[Line]) -> dict[_At, Rated]:
    """Sum lines by where they charge: two tiers at one amount a unit are one."""
    sums: dict[_At, Rated] = defaultdict(lambda: _NOTHING)
    for line in lines:
        at = (line.span.price.id, line.span.start, line.unit_amount)
        sums[at] += line.rated
    return dict(sums)


def _by_span(spans: Sequence[Span], sums: Mapping[_At, Rated]) -> list[int]:
    return [
        sum(rated.quantity for at, rated in sums.items() if at[:2] == (span.price.id, span.start))
        for span in spans
    ]


def _charged(session: Session, tenant_id: UUID, month: Month) -> _Charged:
    where = (InvoiceLine.kind, InvoiceLine.price_id, InvoiceLine.starts_at, InvoiceLine.unit_amount)
    sums = (InvoiceLine.quantity, InvoiceLine.included_quantity, InvoiceLine.amount_cents)
    rows = session.execute(
        select(*where, *(func.sum(column) for column in sums))
        .where(InvoiceLine.tenant_id == tenant_id, InvoiceLine.usage_month == month.days[0])
        .group_by(*where)
    )
    usage: dict[_At, Rated] = {}
    minimum = _NOTHING
    for kind, price_id, starts_at, unit_amount, *quantities in rows:
        rated = Rated(*map(int, quantities))
        if kind in USAGE_KINDS:
            usage[price_id, starts_at, unit_amount] = rated
        elif kind is PriceKind.MINIMUM:
            minimum += rated
    return _Charged(usage, minimum)


def _fee_charged_until(session: Session, tenant_id: UUID, month: Month) -> datetime | None:
    """The end of the last stretch of a month for which a line has charged the fee."""
    return session.scalar(
        select(func.max(InvoiceLine.ends_at)).where(
            InvoiceLine.tenant_id == tenant_id,
            InvoiceLine.kind == PriceKind.PLATFORM,
            InvoiceLine.usage_month == month.days[0],
        )
    )
