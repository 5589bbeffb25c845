"""Who used what of a month: its lines' cents, shared out among days, models, keys or jobs so that they add up.

Days share a span's lines in the order of time, the included quota and the lower tiers going to the first ones.
Models, keys and jobs share them in proportion to their tokens, as none comes before the other.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import TypeVar
from uuid import UUID

from billing.csv_export import to_csv
from billing.rating import Line, Span, charge, total_cents
from billing.terms import USAGE_KINDS
from core.models.billing import PriceKind
from core.models.usage import UsageSource

Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True)
class UsageRow:
    """Tokens of one kind on one day, by one model, key and job, while no price changed."""

    kind: PriceKind
    since: datetime
    day: date
    model_id: UUID | None
    key: UUID | UsageSource
    job_id: UUID | None
    tokens: int
    requests: int


@dataclass(frozen=True)
class Share:
    """One day's, model's, key's or job's part of a month."""

    name: str
    tokens: dict[PriceKind, int]
    requests: int
    cost_cents: int

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens.values())


def share_out(
    rows: Sequence[UsageRow],
    lines: Sequence[Line],
    group_of: Callable[[UsageRow], Group],
    name_of: Callable[[Group], str],
    *,
    in_order: bool = False,
) -> dict[Group, Share]:
    """Part the rows and the lines' cents among groups, which come in the order of their first row.

    `lines` are those of the rows' kinds, as rating gives them.
    """
    tokens: dict[Group, dict[PriceKind, int]] = defaultdict(lambda: dict.fromkeys(USAGE_KINDS, 0))
    requests: dict[Group, int] = defaultdict(int)
    for row in rows:
        tokens[group_of(row)][row.kind] += row.tokens
        requests[group_of(row)] += row.requests
    cost = dict.fromkeys(tokens, 0)
    for span, of_span in _by_span(lines):
        weights = dict.fromkeys(tokens, 0)
        for row in rows:
            if row.kind == span.price.kind and span.start <= row.since < span.end:
                weights[group_of(row)] += row.tokens
        quantities = list(weights.values())
        cents = (
            spread_in_order(of_span, quantities)
            if in_order
            else spread_by_weight(total_cents(of_span), quantities)
        )
        for group, share in zip(weights, cents, strict=True):
            cost[group] += share
    return {group: Share(name_of(group), tokens[group], requests[group], cost[group]) for group in tokens}


def costs_by_day(days: Sequence[date], rows: Sequence[UsageRow], lines: Sequence[Line]) -> list[int]:
    """What the rows cost on each of the days, in cents; they add up to the lines'."""
    by_day = share_out(rows, lines, lambda row: row.day, str, in_order=True)
    return [by_day[day].cost_cents if day in by_day else 0 for day in days]


def largest_first(shares: Iterable[Share]) -> list[Share]:
    """The dearest first, then the largest."""
    return sorted(shares, key=lambda share: (-share.cost_cents, -share.total_tokens, share.name))


def shares_csv(heading: str, shares: Iterable[Share]) -> str:
    """A table of shares as CSV; `heading` names the first column: day, model, key or job."""
    header = (heading, *(f"{kind}_tokens" for kind in USAGE_KINDS), "requests", "cost_cents")
    return to_csv(
        header,
        (
            (share.name, *(share.tokens[kind] for kind in USAGE_KINDS), share.requests, share.cost_cents)
            for share in shares
        ),
    )


def spread_in_order(lines: Sequence[Line], quantities: Sequence[int]) -> list[int]:
    """Share one span's lines over quantities that followed each other and add up to theirs, tier by tier.

    Each gets the growth of the running amount, so the shares add up to the lines'.
    """
    shares = []
    used, charged = 0, 0
    for quantity in quantities:
        used += quantity
        running = _running_cents(lines, used)
        shares.append(running - charged)
        charged = running
    return shares


def spread_by_weight(amount_cents: int, weights: Sequence[int]) -> list[int]:
    """Share cents in proportion to weights, by the largest remainder: the shares add up exactly."""
    total = sum(weights)
    if total == 0:
        if amount_cents:
            raise ValueError("There is nothing to share the amount over.")
        return [0] * len(weights)
    shares = [amount_cents * weight // total for weight in weights]
    remainders = [amount_cents * weight % total for weight in weights]
    largest_first = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in largest_first[: amount_cents - sum(shares)]:
        shares[index] += 1
    return shares


def _by_span(lines: Sequence[Line]) -> Iterator[tuple[Span, list[Line]]]:
    """A span's lines follow each other, the lowest tier first."""
    for span, of_span in groupby(lines, key=lambda line: line.span):
        yield span, list(of_span)


def _running_cents(lines: Sequence[Line], used: int) -> int:
    """What the first `used` units of a span's lines cost."""
    running = 0
    for line in lines:
        inside = min(max(0, used), line.rated.quantity)
        billable = max(0, inside - line.rated.included_quantity)
        if billable:
            running += charge(billable, line.unit_amount) + int(line.flat_amount)
        used -= line.rated.quantity
    return running
