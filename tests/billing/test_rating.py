"""Rating is exact: no order, split or rounding of the parts changes what is asked for."""

import random
from collections.abc import Sequence
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
    Tier,
    by_span,
    cents,
    charge,
    project,
    rate_minimum,
    rate_platform_fee,
    rate_spans,
    total_cents,
)
from billing.schedule import Holding, spans_between
from core.models.billing import PriceScheme

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
    scheme: PriceScheme = PriceScheme.FLAT,
    tiers: tuple[Tier, ...] = (),
) -> Price:
    return Price(
        price_id or uuid4(),
        plan,
        plan.title(),
        kind,
        Decimal(unit_amount),
        included,
        since,
        scheme,
        tiers,
    )


included_quantities = st.integers(0, 10**10)
prices = st.builds(a_price, unit_amounts, included_quantities)


@st.composite
def tiered(draw: st.DrawFn, scheme: PriceScheme) -> Price:
    """A price of up to four tiers, some with a flat amount."""
    ends = [*sorted(draw(st.sets(st.integers(1, 10**12), max_size=3))), None]
    flat_amounts = st.integers(0, 10**6).map(Decimal)
    tiers = tuple(Tier(end, draw(unit_amounts), draw(flat_amounts)) for end in ends)
    return a_price("0", draw(included_quantities), scheme=scheme, tiers=tiers)


@st.composite
def spans(draw: st.DrawFn, schemes: Sequence[PriceScheme] = tuple(PriceScheme)) -> list[Span]:
    """A month cut into up to five prices."""
    cuts = sorted(draw(st.sets(moments, max_size=4)) - {NOVEMBER.start})
    bounds = [NOVEMBER.start, *cuts, NOVEMBER.end]
    some = st.sampled_from(schemes).flatmap(
        lambda scheme: prices if scheme is PriceScheme.FLAT else tiered(scheme)
    )
    return [Span(start, end, draw(some)) for start, end in pairwise(bounds)]


def whole_month(price: Price, quantity: int) -> list[Line]:
    return rate_spans(NOVEMBER, [Span(NOVEMBER.start, NOVEMBER.end, price)], [quantity])


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


@given(spans(schemes=(PriceScheme.FLAT,)), facts, st.tuples(moments, quantities))
def test_more_usage_never_costs_less_at_flat_prices(
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
        exact = Decimal(line.rated.billable_quantity) * line.unit_amount + line.flat_amount
        assert abs(line.amount_cents - exact) <= Decimal("0.5")


@given(spans(), facts)
def test_the_quota_given_never_passes_the_largest_that_was_in_force(
    month_spans: list[Span], usage: list[tuple[datetime, int]]
) -> None:
    given_away = sum(line.rated.included_quantity for line in bill(month_spans, usage))
    assert given_away <= max(span.price.included_quantity for span in month_spans)


@pytest.mark.parametrize(
    ("quantity", "unit_amount", "expected"),
    [
        (1, "0.5", 1),
        (1, "0.499999999999", 0),
        (30, "0.05", 2),  # the example of Stripe's own documentation
        (1, "2.5", 3),
        (1, "0.500000000001", 1),
        (9_223_372_036_854_775_807, "0.000000000001", 9_223_372),
        (9_223_372_036_854_775_807, "999999999999.999999999999", 9_223_372_036_854_775_806_999_990_776_628),
    ],
)
def test_amounts_round_half_up_at_any_size(quantity: int, unit_amount: str, expected: int) -> None:
    assert charge(quantity, Decimal(unit_amount)) == expected


@given(st.decimals(-1000, 1000, places=12), st.integers(-(10**6), 10**6))
def test_whole_cents_beside_an_amount_do_not_change_how_it_rounds(amount: Decimal, whole: int) -> None:
    assert cents(amount + whole) == cents(amount) + whole


@pytest.mark.parametrize(("quantity", "included", "amount"), [(99, 99, 0), (100, 100, 0), (101, 100, 7)])
def test_the_quota_ends_exactly_at_its_edge(quantity: int, included: int, amount: int) -> None:
    (line,) = whole_month(a_price("7", 100), quantity)
    assert (line.rated.included_quantity, line.amount_cents) == (included, amount)


def parts(lines: list[Line]) -> list[tuple[int, int, str, str, int]]:
    """What of each line these tests ask for: quantity, included, amount a unit, flat amount, cents."""
    return [
        (
            line.rated.quantity,
            line.rated.included_quantity,
            str(line.unit_amount),
            str(line.flat_amount),
            line.amount_cents,
        )
        for line in lines
    ]


GRADUATED = (Tier(10, Decimal(5)), Tier(20, Decimal(3), Decimal(100)), Tier(None, Decimal(2)))


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (99, [(99, 99, "5", "0", 0)]),
        (100, [(100, 100, "5", "0", 0)]),
        (101, [(101, 100, "5", "0", 5)]),
        (109, [(109, 100, "5", "0", 45)]),
        (110, [(110, 100, "5", "0", 50)]),
        (111, [(110, 100, "5", "0", 50), (1, 0, "3", "100", 103)]),
        (120, [(110, 100, "5", "0", 50), (10, 0, "3", "100", 130)]),
        (121, [(110, 100, "5", "0", 50), (10, 0, "3", "100", 130), (1, 0, "2", "0", 2)]),
    ],
)
def test_a_graduated_price_charges_each_tier_for_the_units_in_it(
    quantity: int, expected: list[tuple[int, int, str, str, int]]
) -> None:
    price = a_price(included=100, scheme=PriceScheme.GRADUATED, tiers=GRADUATED)
    assert parts(whole_month(price, quantity)) == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (9, (9, 0, "5", "0", 45)),
        (10, (10, 0, "5", "0", 50)),
        (11, (11, 0, "3", "100", 133)),
        (20, (20, 0, "3", "100", 160)),
        (21, (21, 0, "2", "0", 42)),
    ],
)
def test_a_volume_price_charges_all_units_at_the_tier_that_the_month_reaches(
    quantity: int, expected: tuple[int, int, str, str, int]
) -> None:
    price = a_price(scheme=PriceScheme.VOLUME, tiers=GRADUATED)
    assert parts(whole_month(price, quantity)) == [expected]


def test_the_position_in_the_tiers_goes_on_over_a_change_of_price() -> None:
    tenth = NOVEMBER.start + timedelta(days=9)
    old = a_price(scheme=PriceScheme.GRADUATED, tiers=GRADUATED)
    new = a_price(scheme=PriceScheme.GRADUATED, tiers=(*GRADUATED[:2], Tier(None, Decimal(1))))
    month_spans = [Span(NOVEMBER.start, tenth, old), Span(tenth, NOVEMBER.end, new)]
    assert parts(bill(month_spans, [(NOVEMBER.start, 12), (tenth, 9)])) == [
        (10, 0, "5", "0", 50),
        (2, 0, "3", "100", 106),
        (8, 0, "3", "0", 24),  # this tier's flat amount was charged already
        (1, 0, "1", "0", 1),
    ]


def test_a_volume_price_looks_at_the_whole_months_quantity_over_a_change_of_price() -> None:
    tenth = NOVEMBER.start + timedelta(days=9)
    price = a_price(scheme=PriceScheme.VOLUME, tiers=GRADUATED)
    month_spans = [Span(NOVEMBER.start, tenth, price), Span(tenth, NOVEMBER.end, a_price("7"))]
    assert parts(bill(month_spans, [(NOVEMBER.start, 6), (tenth, 6)])) == [
        (6, 0, "3", "100", 118),
        (6, 0, "7", "0", 42),
    ]


@given(tiered(PriceScheme.GRADUATED), quantities, quantities)
def test_a_graduated_price_never_falls_with_more_usage(price: Price, used: int, more: int) -> None:
    assert total_cents(whole_month(price, used + more)) >= total_cents(whole_month(price, used))


@pytest.mark.parametrize(("usage_cents", "short"), [(0, 5000), (4999, 1), (5000, 0), (5001, 0)])
def test_the_minimum_asks_for_what_usage_is_short_of_it(usage_cents: int, short: int) -> None:
    whole = [Span(NOVEMBER.start, NOVEMBER.end, a_price("5000", kind="minimum"))]
    assert total_cents(rate_minimum(NOVEMBER, whole, usage_cents)) == short


def test_the_minimum_of_a_part_of_the_month_counts_by_days() -> None:
    eleventh = NOVEMBER.start + timedelta(days=10)
    month_spans = [
        Span(NOVEMBER.start, eleventh, a_price("0", kind="minimum")),
        Span(eleventh, NOVEMBER.end, a_price("3000", kind="minimum", plan="scale")),
    ]
    (line,) = rate_minimum(NOVEMBER, month_spans, 500)
    assert (line.span.price.plan_code, line.unit_amount, line.amount_cents) == ("scale", Decimal(2000), 1500)


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
        whole_month(a_price(), -1)


def test_a_projection_goes_on_at_the_pace_so_far() -> None:
    ten_days, nothing = timedelta(days=10), timedelta(0)
    assert project(100, ten_days, 2 * ten_days) == 200
    assert project(100, ten_days, nothing) == 0
    assert project(100, nothing, ten_days) == 0
