"""Cents shared out add up to the line, whatever they are shared over."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from billing.rating import Price, Span, Tier, rate_spans, total_cents
from billing.shares import spread_by_weight, spread_in_order
from core.models.billing import PriceScheme
from tests.billing.test_rating import NOVEMBER, a_price, prices, tiered

days_used = st.lists(st.integers(0, 10**9), max_size=31)


@given(st.one_of(prices, tiered(PriceScheme.GRADUATED), tiered(PriceScheme.VOLUME)), days_used)
def test_cents_shared_over_days_sum_to_the_lines(price: Price, days: list[int]) -> None:
    lines = rate_spans(NOVEMBER, [Span(NOVEMBER.start, NOVEMBER.end, price)], [sum(days)])
    shares = spread_in_order(lines, days)
    assert sum(shares) == total_cents(lines)
    assert all(share >= 0 for share in shares)


def test_the_day_that_reaches_a_tier_pays_its_flat_amount() -> None:
    tiers = (Tier(10, Decimal(5)), Tier(None, Decimal(3), Decimal(100)))
    price = a_price(included=2, scheme=PriceScheme.GRADUATED, tiers=tiers)
    lines = rate_spans(NOVEMBER, [Span(NOVEMBER.start, NOVEMBER.end, price)], [20])
    assert spread_in_order(lines, [3, 9, 1, 7]) == [5, 45, 103, 21]


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**12), min_size=1))
def test_cents_shared_by_weight_sum_and_stay_within_one_of_the_exact_share(
    amount: int, weights: list[int]
) -> None:
    if not sum(weights):
        amount = 0
    shares = spread_by_weight(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * sum(weights) - amount * weight) < max(1, sum(weights))
