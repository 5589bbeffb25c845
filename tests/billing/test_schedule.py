"""The schedule: at every moment of a month exactly one price is in force, the one that held then."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.rating import NoPriceInForce, Price, Span, clip
from billing.schedule import Holding, plan_at, price_at, spans_between
from tests.billing.months import FEBRUARY, JANUARY, MARCH, on

PLANS = ("trial", "starter", "scale")
moments = st.integers(0, int((MARCH.start - JANUARY.start).total_seconds())).map(
    lambda second: JANUARY.start + timedelta(seconds=second)
)


def a_price(plan: str, since: datetime, kind: str = "prediction") -> Price:
    return Price(uuid4(), plan, plan.title(), kind, Decimal(1), 0, since)


@st.composite
def holdings(draw: st.DrawFn) -> list[Holding]:
    starts = sorted(draw(st.sets(moments, max_size=4)))
    plans = draw(st.lists(st.sampled_from(PLANS), min_size=len(starts), max_size=len(starts)))
    return [
        Holding(plan, start, end)
        for plan, start, end in zip(plans, starts, [*starts[1:], None][: len(starts)], strict=True)
    ]


prices = st.lists(st.tuples(st.sampled_from(PLANS), moments), max_size=6, unique=True).map(
    lambda versions: (
        [a_price(plan, JANUARY.previous.start) for plan in PLANS]
        + [a_price(plan, since) for plan, since in versions if since > JANUARY.start]
    )
)


@given(holdings(), prices, moments)
def test_the_spans_of_a_month_have_at_each_moment_the_price_in_force(held, versions, at):
    spans = spans_between(FEBRUARY.start, FEBRUARY.end, "prediction", held, versions, "trial")
    assert (spans[0].start, spans[-1].end) == (FEBRUARY.start, FEBRUARY.end)
    for before, behind in pairwise(spans):
        assert before.end == behind.start
        assert before.price != behind.price
    if at in FEBRUARY:
        (span,) = [span for span in spans if span.start <= at < span.end]
        assert span.price == price_at(at, plan_at(at, held, "trial"), "prediction", versions)


def test_a_plan_ends_where_the_next_begins():
    held = [Holding("starter", on(3), on(10)), Holding("scale", on(10))]
    just_before = timedelta(microseconds=1)
    assert plan_at(on(3) - just_before, held, "trial") == "trial"
    assert plan_at(on(3), held, "trial") == "starter"
    assert plan_at(on(10) - just_before, held, "trial") == "starter"
    assert plan_at(on(10), held, "trial") == "scale"


def test_a_price_of_another_kind_or_plan_is_not_in_force():
    others = [a_price("starter", on(1), "training"), a_price("scale", on(1))]
    with pytest.raises(NoPriceInForce, match="'starter' has no prediction price"):
        price_at(on(2), "starter", "prediction", others)


def test_clipping_keeps_what_lies_inside():
    first, second = a_price("starter", on(1)), a_price("starter", on(10))
    spans = [Span(on(1), on(10), first), Span(on(10), on(20), second)]
    assert clip(spans, on(5), on(15)) == [Span(on(5), on(10), first), Span(on(10), on(15), second)]
    assert clip(spans, on(10), on(15)) == [Span(on(10), on(15), second)]
    assert clip(spans, on(20), on(30)) == []
