"""What counts against a budget: pure arithmetic on a month's counts.

A tenant's spend is what the month's usage costs, as its invoice will rate it, without fee and minimum. A key's is each
token at its list price, the price beyond what the plan includes: what is included is the whole tenant's, and no key's.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from billing.counters import Counts, Quantities
from billing.rating import Span, by_span, rate_spans, total_cents
from billing.terms import USAGE_KINDS, Schedule
from core.models.billing import PriceScheme

Amounts = Sequence[tuple[datetime, int]]


def tenant_cents(in_force: Schedule, used: Quantities) -> int:
    """What the month's usage costs."""
    return total_cents(in_force.rate_usage(used))


def most_tenant_cents(in_force: Schedule, counts: Counts) -> int:
    """The most that it can cost, however much of what is reserved is used."""
    most = 0
    for kind in USAGE_KINDS:
        spans = in_force.spans[kind]
        most += max(
            total_cents(rate_spans(in_force.month, spans, by_span(spans, [*counts.used[kind], *reserved])))
            for reserved in _dearest(spans, counts.used[kind], counts.reserved[kind])
        )
    return most


def key_cents(in_force: Schedule, used: Quantities) -> Decimal:
    """A key's tokens at their list prices, exactly; of a tiered price at the first tier's."""
    cost = Decimal(0)
    for kind in USAGE_KINDS:
        spans = in_force.spans[kind]
        for span, quantity in zip(spans, by_span(spans, used[kind]), strict=True):
            cost += quantity * span.price.steps[0].unit_amount
    return cost


def most_key_cents(in_force: Schedule, counts: Counts) -> Decimal:
    """The most that a key can cost with what it has reserved."""
    return key_cents(in_force, counts.used) + key_cents(in_force, counts.reserved)


def _dearest(spans: Sequence[Span], used: Amounts, reserved: Amounts) -> Iterator[Amounts]:
    """How much of what is reserved may cost most: all of it, but with a volume price, whose higher tiers are cheaper,
    also what fills a tier."""
    yield reserved
    total = sum(quantity for _, quantity in (*used, *reserved))
    for span in spans:
        if span.price.scheme is PriceScheme.VOLUME:
            for tier in span.price.tiers:
                if tier.up_to is not None:
                    unused = total - span.price.included_quantity - tier.up_to
                    if unused > 0:
                        yield _without(reserved, unused)


def _without(reserved: Amounts, unused: int) -> Amounts:
    """`reserved` with `unused` tokens less, the latest first."""
    left: list[tuple[datetime, int]] = []
    for at, quantity in sorted(reserved, reverse=True):
        less = min(quantity, unused)
        unused -= less
        left.append((at, quantity - less))
    return left
