"""Which price a tenant has when: subscriptions and price versions laid over each other, as pure data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from billing.rating import NoPriceInForce, Price, Span


@dataclass(frozen=True)
class Holding:
    """A tenant's plan from `starts_at` up to, and without, `ends_at` (None: until further notice)."""

    plan_code: str
    starts_at: datetime
    ends_at: datetime | None = None


def plan_at(at: datetime, holdings: Sequence[Holding], default_plan: str) -> str:
    """The plan held at a moment, or the default one where nothing was subscribed."""
    for holding in holdings:
        if holding.starts_at <= at and (holding.ends_at is None or at < holding.ends_at):
            return holding.plan_code
    return default_plan


def price_at(at: datetime, plan_code: str, kind: str, prices: Sequence[Price]) -> Price:
    """The version of a plan's price in force at a moment; raises NoPriceInForce where there is none."""
    begun = [
        price
        for price in prices
        if price.plan_code == plan_code and price.kind == kind and price.effective_from <= at
    ]
    if not begun:
        raise NoPriceInForce(f"Plan {plan_code!r} has no {kind} price in force at {at:%Y-%m-%d %H:%M} UTC.")
    return max(begun, key=lambda price: price.effective_from)


def spans_between(
    start: datetime,
    end: datetime,
    kind: str,
    holdings: Sequence[Holding],
    prices: Sequence[Price],
    default_plan: str,
) -> list[Span]:
    """The prices of one kind in force over `[start, end)`, in order, with equal neighbours joined."""
    cuts = {price.effective_from for price in prices if price.kind == kind}
    cuts |= {holding.starts_at for holding in holdings}
    cuts |= {holding.ends_at for holding in holdings if holding.ends_at is not None}
    bounds = [start, *sorted(cut for cut in cuts if start < cut < end), end]
    spans: list[Span] = []
    for begins, ends in pairwise(bounds):
        price = price_at(begins, plan_at(begins, holdings, default_plan), kind, prices)
        continues = spans and spans[-1].price == price
        spans.append(Span(spans.pop().start if continues else begins, ends, price))
    return spans
