"""Rating is exact: no order, split or rounding of the parts changes what is asked for."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import Month
from billing.rating import (
    Line,
    NoPriceInForce,
    Price,
    Span,
    by_span,
    charge,
    project,
    rate,
    rate_platform_fee,
    rate_spans,
    spread_by_weight,
    spread_in_order,
    total_cents,
)
from billing.schedule import Holding, spans_between

NOVEMBER = Month(2026, 11)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

quantities = st.integers(0, 10**12)
unit_amounts = st.decimals(min_value=0, max_value=1000, places=12)
moments = st.integers(0, 30 * 24 * 3600 * 10**6 - 1).map(
    lambda tick: NOVEMBER.start + timedelta(microseconds=tick)
)
facts = st.lists(st.tuples(moments, quantities), max_size=30)


def a_price(
    unit_amount: str | Decimal = "0.00003",
    included: int = 0,
    *,
    kind: str = "prediction",
    plan: str = "starter",
    since: datetime = LONG_AGO,
    price_id: UUID | None = None,
) -> Price:
    return Price(price_id or uuid4(), plan, plan.title(), kind, Decimal(unit_amount), included, since)


prices = st.builds(a_price, unit_amounts, st.integers(0, 10**10))


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """A month cut into up to five prices."""
    cuts = sorted(draw(st.sets(moments, max_size=4)) - {NOVEMBER.start})
    bounds = [NOVEMBER.start, *cuts, NOVEMBER.end]
    return [Span(start, end, draw(prices)) for start, end in pairwise(bounds)]


def bill(month_spans: list[Span], usage: list[tuple[datetime, int]]) -> list[Line]:
    return rate_spans(NOVEMBER, month_spans, by_span(month_spans, usage))


@given(spans(), facts, st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_change_the_bill(
    month_spans: list[Span], usage: list[tuple[datetime, int]], chance: random.Random
) -> None:
    shuffled = usage.copy()
    chance.shuffle(shuffled)
    assert bill(month_spans, shuffled) == bill(month_spans, usage)


@given(spans(), facts, st.randoms(use_true_random=False))
def test_splitting_facts_does_not_change_the_bill(
    month_spans: list[Span], usage: list[tuple[datetime, int]], chance: random.Random
) -> None:
    split = []
    for at, quantity in usage:
        part = chance.randint(0, quantity)
        split += [(at, part), (at, quantity - part)]
    assert bill(month_spans, split) == bill(month_spans, usage)


@given(spans(), facts, st.tuples(moments, quantities))
def test_more_usage_never_costs_less(
    month_spans: list[Span], usage: list[tuple[datetime, int]], more: tuple[datetime, int]
) -> None:
    assert total_cents(bill(month_spans, [*usage, more])) >= total_cents(bill(month_spans, usage))


@given(spans(), facts)
def test_lines_sum_to_the_total_and_account_for_every_unit(
    month_spans: list[Span], usage: list[tuple[datetime, int]]
) -> None:
    lines = bill(month_spans, usage)
    assert total_cents(lines) == sum(line.amount_cents for line in lines)
    assert sum(line.rated.quantity for line in lines) == sum(quantity for _, quantity in usage)
    for line in lines:
        assert line.rated.included_quantity + line.rated.billable_quantity == line.rated.quantity
        exact = Decimal(line.rated.billable_quantity) * line.unit_amount
        assert abs(line.amount_cents - exact) <= Decimal("0.5")


@given(spans(), facts)
def test_the_quota_given_never_passes_the_largest_that_was_in_force(
    month_spans: list[Span], usage: list[tuple[datetime, int]]
) -> None:
    given_away = sum(line.rated.included_quantity for line in bill(month_spans, usage))
    assert given_away <= max(span.price.included_quantity for span in month_spans)


@given(prices, st.lists(st.integers(0, 10**9), max_size=31))
def test_cents_shared_over_days_sum_to_the_line(price: Price, days: list[int]) -> None:
    rated = rate(sum(days), price)
    shares = spread_in_order(rated, price.unit_amount, days)
    assert sum(shares) == rated.amount_cents
    assert all(share >= 0 for share in shares)


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


@pytest.mark.parametrize(
    ("quantity", "unit_amount", "expected"),
    [
        (1, "0.5", 0),  # half goes to the even neighbour
        (1, "1.5", 2),
        (1, "2.5", 2),
        (1, "0.500000000001", 1),
        (9_223_372_036_854_775_807, "0.000000000001", 9_223_372),
        (9_223_372_036_854_775_807, "999999999999.999999999999", 9_223_372_036_854_775_806_999_990_776_628),
    ],
)
def test_amounts_round_half_to_even_at_any_size(quantity: int, unit_amount: str, expected: int) -> None:
    assert charge(quantity, Decimal(unit_amount)) == expected


@pytest.mark.parametrize(("quantity", "included", "amount"), [(99, 99, 0), (100, 100, 0), (101, 100, 7)])
def test_the_quota_ends_exactly_at_its_edge(quantity: int, included: int, amount: int) -> None:
    rated = rate(quantity, a_price("7", 100))
    assert (rated.included_quantity, rated.amount_cents) == (included, amount)


def test_a_price_change_gives_two_lines_and_the_quota_goes_in_order_of_time() -> None:
    tenth = datetime(2026, 11, 10, tzinfo=UTC)
    old, new = a_price("2", 100), a_price("3", 100, since=tenth)
    month_spans = spans_between(NOVEMBER.start, NOVEMBER.end, "prediction", [], [old, new], "starter")
    before, after = bill(
        month_spans, [(tenth, 50), (NOVEMBER.start, 70), (tenth - timedelta(microseconds=1), 10)]
    )
    assert (before.span.price, before.rated.quantity, before.amount_cents) == (old, 80, 0)
    assert (after.span.price, after.rated.included_quantity, after.amount_cents) == (new, 20, 90)


def test_a_plan_change_splits_the_month_and_the_fee_by_days() -> None:
    at_noon = datetime(2026, 11, 11, 12, tzinfo=UTC)
    holdings = [Holding("starter", LONG_AGO, at_noon), Holding("scale", at_noon)]
    catalogue = [a_price("3000", kind="platform"), a_price("30000", kind="platform", plan="scale")]
    fees = rate_platform_fee(
        NOVEMBER, spans_between(NOVEMBER.start, NOVEMBER.end, "platform", holdings, catalogue, "trial")
    )
    # The day of the change goes to the new plan: 10 days of 30.00 and 20 days of 300.00.
    assert [(line.span.price.plan_code, line.amount_cents) for line in fees] == [
        ("starter", 1000),
        ("scale", 20000),
    ]


@given(st.builds(Month, st.integers(2020, 2030), st.integers(1, 12)), st.integers(0, 10**8), st.data())
def test_a_fee_split_over_the_month_is_the_whole_fee_but_for_rounding(
    month: Month, fee: int, data: st.DataObject
) -> None:
    seconds = int((month.end - month.start).total_seconds())
    cuts = data.draw(st.sets(st.integers(1, seconds - 1), max_size=6))
    bounds = [month.start, *(month.start + timedelta(seconds=cut) for cut in sorted(cuts)), month.end]
    price = a_price(Decimal(fee), kind="platform")
    parts = rate_platform_fee(month, [Span(start, end, price) for start, end in pairwise(bounds)])
    assert abs(total_cents(parts) - fee) <= len(bounds)


def test_a_month_without_a_change_has_one_fee_line_at_the_full_price() -> None:
    fees = rate_platform_fee(NOVEMBER, [Span(NOVEMBER.start, NOVEMBER.end, a_price("2900", kind="platform"))])
    assert [(line.rated.quantity, line.unit_amount, line.amount_cents) for line in fees] == [
        (1, Decimal(2900), 2900)
    ]


def test_usage_at_a_time_without_a_price_is_refused_by_name() -> None:
    later = a_price(since=NOVEMBER.end)
    with pytest.raises(
        NoPriceInForce, match="'starter' has no prediction price in force at 2026-11-01 00:00"
    ):
        spans_between(NOVEMBER.start, NOVEMBER.end, "prediction", [], [later], "starter")


def test_a_moment_at_the_end_of_the_month_is_not_of_the_month() -> None:
    with pytest.raises(NoPriceInForce, match="2026-12-01"):
        by_span([Span(NOVEMBER.start, NOVEMBER.end, a_price())], [(NOVEMBER.end, 1)])


def test_a_negative_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        rate(-1, a_price())


def test_a_projection_goes_on_at_the_pace_so_far() -> None:
    ten_days, nothing = timedelta(days=10), timedelta(0)
    assert project(100, ten_days, 2 * ten_days) == 200
    assert project(100, ten_days, nothing) == 0
    assert project(100, nothing, ten_days) == 0
