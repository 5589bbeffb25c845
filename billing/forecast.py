"""What a running month may come to: its bill, and what its days cost, if usage goes on at the pace so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from billing.bills import Bill, rate_month
from billing.periods import Month, last_moment_of
from billing.rating import project, total_cents
from billing.shares import UsageRow, costs_by_day, spread_by_weight
from billing.terms import USAGE_KINDS, Schedule
from core.models.billing import PriceKind
from core.models.usage import UsageSource

_SHORTEST_PACE = timedelta(days=1)
"""A projection from less than a day would make a month of the first hour's try-out."""

_TICK = timedelta.resolution


@dataclass(frozen=True)
class Forecast:
    """`total_cents` is the whole month's bill; `day_cents` is what each day's usage adds to what it cost so far.

    Days before today add nothing: where what is to come changes the price of what they used, the days from today on
    have the change.
    """

    total_cents: int
    day_cents: Sequence[int]


def forecast(
    bill: Bill, in_force: Schedule, rows: Sequence[UsageRow], since: datetime, at: datetime
) -> Forecast:
    """Project a month from a moment in it; `since` is when the tenant began, if that is in the month.

    `rows` is the month's usage so far, and `bill` what the month costs with it.
    """
    month = bill.month
    elapsed = max(at - max(month.start, since), _SHORTEST_PACE)
    then = [*rows]
    for kind in USAGE_KINDS:
        so_far = sum(row.tokens for row in rows if row.kind is kind)
        then += _coming(month, kind, project(so_far, elapsed, month.end - at), at)
    used = {kind: [(row.since, row.tokens) for row in then if row.kind is kind] for kind in USAGE_KINDS}
    late = [line for line in bill.lines if line.late]
    own = [line for line in bill.lines if line.kind in USAGE_KINDS and not line.late]
    costs = costs_by_day(month.days, rows, own)
    costs_then = costs_by_day(month.days, then, in_force.rate_usage(used))
    return Forecast(
        total_cents([*rate_month(in_force, used, month.end), *late]),
        _growth(costs, costs_then, today=month.days.index(_day_of(at))),
    )


def _coming(month: Month, kind: PriceKind, tokens: int, at: datetime) -> list[UsageRow]:
    """Tokens that are still to come, spread evenly over the time that is left."""
    days = [day for day in month.days if day >= _day_of(at)]
    ends = [last_moment_of(day) + _TICK for day in days]
    weights = [(end - begin) // _TICK for begin, end in pairwise([at, *ends])]
    return [
        UsageRow(kind, at, day, None, UsageSource.API, None, part, 0)
        for day, part in zip(days, spread_by_weight(tokens, weights), strict=True)
    ]


def _growth(costs: Sequence[int], costs_then: Sequence[int], today: int) -> list[int]:
    """How much dearer each day from today on gets, what changes of the days that are over counted with them."""
    grown = [then - now for now, then in zip(costs, costs_then, strict=True)]
    first, *others = [sum(grown[: today + 1]), *grown[today + 1 :]]
    if first < 0 < first + sum(others):
        # A volume price makes what was used already cheaper: that is off what is to come, as no bar can show it.
        first, others = 0, spread_by_weight(first + sum(others), [max(0, cost) for cost in others])
    return [0] * today + [first, *others]


def _day_of(at: datetime) -> date:
    return at.astimezone(UTC).date()
