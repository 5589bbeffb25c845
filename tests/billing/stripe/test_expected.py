"""What a draft must come to: with its items it asks for what our invoice does, or the difference is shown."""

from decimal import Decimal
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from billing.rating import Price, Span, rate_spans
from billing.stripe.expected import CREDITS, Counted, Reason, compare, expect, rated_cents
from core.models.billing import Invoice, InvoiceLine, PriceKind
from core.models.usage import UsageKind
from tests.billing.months import FEBRUARY, JANUARY

NOTHING = dict.fromkeys(UsageKind, Counted(0, None, {}))


def price(unit_amount="0.00003", included=0):
    return Price(uuid4(), "starter", "Starter", "prediction", Decimal(unit_amount), included, JANUARY.start)


def usage_line(at: Price, quantity: int, month=JANUARY, position=1) -> InvoiceLine:
    [line] = rate_spans(month, [Span(month.start, month.end, at)], [quantity])
    return InvoiceLine(
        position=position,
        kind=PriceKind.PREDICTION,
        price_id=at.id,
        usage_month=month.days[0],
        description="Prediction tokens",
        quantity=quantity,
        amount_cents=line.amount_cents,
    )


def fee_line(cents: int, position=2) -> InvoiceLine:
    return InvoiceLine(
        position=position,
        kind=PriceKind.PLATFORM,
        price_id=uuid4(),
        usage_month=JANUARY.days[0],
        description="Monthly fee",
        quantity=1,
        amount_cents=cents,
    )


def invoice(*lines: InvoiceLine, credits_cents=0) -> Invoice:
    return Invoice(
        period_start=JANUARY.start,
        total_cents=sum(line.amount_cents for line in lines),
        credits_cents=credits_cents,
    )


def counted(quantity, at, **untold):
    reasons = {Reason(name): tokens for name, tokens in untold.items()}
    return {**NOTHING, UsageKind.PREDICTION: Counted(quantity, at, reasons)}


quantities = st.integers(1, 10**10)


@given(
    reported=quantities,
    earlier=st.integers(0, 10**10),
    reversed_tokens=st.integers(0, 10**9),
    fee=st.integers(1, 10**6),
    drawn=st.integers(0, 10**5),
    included=st.integers(0, 10**9),
)
def test_stripes_rating_and_the_items_add_up_to_what_is_to_pay(
    reported, earlier, reversed_tokens, fee, drawn, included
):
    at = price(included=included)
    invoiced = reported + earlier - min(reversed_tokens, reported - 1)
    lines = [usage_line(at, invoiced), fee_line(fee)]
    ours = invoice(*lines, credits_cents=min(drawn, fee))
    stripe = counted(reported, at, earlier=earlier, reversed=-min(reversed_tokens, reported - 1))
    expected = expect(ours, lines, stripe)
    rated = rated_cents(stripe[UsageKind.PREDICTION], JANUARY)
    asked = rated + sum(item.amount_cents for item in expected.items)
    assert asked == ours.total_cents - ours.credits_cents
    assert expected.problems == []


def test_tokens_that_are_not_accounted_for_get_no_item():
    at = price()
    lines = [usage_line(at, 50_000_000)]
    expected = expect(invoice(*lines), lines, counted(40_000_000, at, earlier=1))
    assert expected.items == []
    assert "50,000,000 tokens are invoiced, and 40,000,001" in expected.problems[0]


def test_another_price_than_the_subscriptions_explains_a_difference():
    old, new = price("0.00003"), price("0.00002")
    lines = [usage_line(new, 50_000_000)]
    [item] = expect(invoice(*lines), lines, counted(50_000_000, old)).items
    assert (item.line, item.amount_cents) == ("prediction", -500)
    assert "price changed" in item.description


def test_late_usage_is_an_item_of_its_own():
    at = price()
    lines = [usage_line(at, 50_000_000), usage_line(at, 10_000_000, FEBRUARY, position=2)]
    [item] = expect(invoice(*lines), lines, counted(50_000_000, at)).items
    assert (item.line, item.amount_cents) == ("line-2", 300)


def test_a_sum_below_zero_is_carried_and_leaves_nothing_to_pay():
    taken_back = fee_line(-400)
    expected = expect(invoice(taken_back), [taken_back], NOTHING)
    assert sum(item.amount_cents for item in expected.items) == 0


def test_the_comparison_shows_each_line_that_differs():
    at = price()
    lines = [usage_line(at, 50_000_000), fee_line(4_900)]
    expected = expect(invoice(*lines, credits_cents=100), lines, counted(50_000_000, at))
    same = {"prediction": 1_500, "line-2": 4_900, CREDITS: -100}
    assert all(not line.difference_cents for line in compare(expected, same, discount_cents=0))
    other = compare(expected, {**same, "prediction": 1_501, "At Stripe only: x": 7}, discount_cents=50)
    differences = {line.line: line.difference_cents for line in other if line.difference_cents}
    assert differences == {"Prediction tokens": 1, "At Stripe only: x": 7}
