"""What usage costs: exact arithmetic on integers and Decimal, with no clock and no database.

A month's usage of one kind meets a row of `Span`s, one for each price that was in force. Each span gives one
line. The included quota is one quota for the whole month, consumed in the order of time: a span takes what
its own price includes, less what earlier spans took. An amount is rounded once, at its line, half to even.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from uuid import UUID

from billing.periods import Month, last_moment_of

# Wide enough for a bigint quantity times a numeric(24,12) without rounding on the way.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_CENT = Decimal(1)
_UNIT_AMOUNT_STEP = Decimal("1e-12")
_TICK = timedelta(microseconds=1)


class NoPriceInForce(Exception):
    """Usage happened at a moment for which the catalogue has no price."""


@dataclass(frozen=True)
class Price:
    """One version of one price; `unit_amount` is in cents a unit: a token, or a month of platform fee."""

    id: UUID
    plan_code: str
    plan_name: str
    kind: str
    unit_amount: Decimal
    included_quantity: int
    effective_from: datetime


@dataclass(frozen=True)
class Span:
    """A price and the stretch of time, `[start, end)`, in which a tenant has it."""

    start: datetime
    end: datetime
    price: Price


@dataclass(frozen=True)
class Rated:
    """A quantity, parted into what the plan includes and what is charged."""

    quantity: int
    included_quantity: int
    amount_cents: int

    @property
    def billable_quantity(self) -> int:
        return self.quantity - self.included_quantity


@dataclass(frozen=True)
class Line:
    """One line of a bill: what one price charges for one month's usage of one kind.

    `month` is when the usage happened; `late` says that its own month's invoice was made before it was known.
    `unit_amount` is the price's, but for a platform fee of part of a month, where it is that part of it.
    """

    month: Month
    span: Span
    unit_amount: Decimal
    rated: Rated
    late: bool = False

    @property
    def kind(self) -> str:
        return self.span.price.kind

    @property
    def amount_cents(self) -> int:
        return self.rated.amount_cents


def cents(amount: Decimal) -> int:
    """Round an amount in cents to whole cents, half to even."""
    return int(amount.quantize(_CENT, context=_EXACT))


def charge(quantity: int, unit_amount: Decimal) -> int:
    """What a billable quantity costs, in whole cents."""
    return cents(_EXACT.multiply(Decimal(quantity), unit_amount))


def rate(quantity: int, price: Price, consumed: int = 0) -> Rated:
    """Rate a quantity of which the month's quota has `consumed` units taken already.

    Raises ValueError for a negative quantity: a correction has a fact of its own kind, never a negative one.
    """
    if quantity < 0 or consumed < 0:
        raise ValueError(f"A quantity cannot be negative: {quantity} units, {consumed} consumed.")
    included = min(quantity, max(0, price.included_quantity - consumed))
    return Rated(quantity, included, charge(quantity - included, price.unit_amount))


def by_span(spans: Sequence[Span], usage: Iterable[tuple[datetime, int]]) -> list[int]:
    """Sum `(moment, quantity)` pairs into the spans that they fall in.

    Raises NoPriceInForce for a moment outside all of them.
    """
    starts = [span.start for span in spans]
    sums = [0] * len(spans)
    for at, quantity in usage:
        index = bisect_right(starts, at) - 1
        if index < 0 or at >= spans[index].end:
            raise NoPriceInForce(f"No price is in force at {at:%Y-%m-%d %H:%M} UTC.")
        sums[index] += quantity
    return sums


def clip(spans: Iterable[Span], start: datetime, end: datetime) -> list[Span]:
    """What of the spans lies in `[start, end)`."""
    cut = (Span(max(span.start, start), min(span.end, end), span.price) for span in spans)
    return [span for span in cut if span.start < span.end]


def rate_spans(
    month: Month, spans: Sequence[Span], quantities: Sequence[int], *, consumed: int = 0, late: bool = False
) -> list[Line]:
    """Rate one kind's quantities, one for each span in order of time; a span without usage gives no line."""
    lines = []
    for span, quantity in zip(spans, quantities, strict=True):
        if quantity == 0:
            continue
        rated = rate(quantity, span.price, consumed)
        consumed += rated.included_quantity
        lines.append(Line(month, span, span.price.unit_amount, rated, late))
    return lines


def rate_platform_fee(month: Month, spans: Sequence[Span], *, late: bool = False) -> list[Line]:
    """The month's fee by days: a UTC day goes to the price in force at its last moment, so none counts twice.

    Spans of a part of the month, as `clip` gives, are charged for that part. A price of zero gives no line.
    """
    lines = []
    for span in spans:
        days = sum(span.start <= last_moment_of(day) < span.end for day in month.days)
        if days == 0 or span.price.unit_amount == 0:
            continue
        whole = days == month.length
        share = span.price.unit_amount if whole else _share(span.price.unit_amount, days, month.length)
        lines.append(Line(month, span, share, Rated(1, 0, charge(1, share)), late))
    return lines


def total_cents(lines: Iterable[Line]) -> int:
    """A bill's total: the sum of its rounded lines, so that what a reader adds up is what is asked for."""
    return sum(line.amount_cents for line in lines)


def spread_in_order(rated: Rated, unit_amount: Decimal, quantities: Sequence[int]) -> list[int]:
    """Share a line's cents over quantities that followed each other, the quota going to the first.

    Each gets the growth of the running amount, so the shares add up to the line's; so must `quantities`.
    """
    shares = []
    used, charged = 0, 0
    for quantity in quantities:
        used += quantity
        running = charge(max(0, used - rated.included_quantity), unit_amount)
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


def project(quantity: int, elapsed: timedelta, remaining: timedelta) -> int:
    """How much more is used in the remaining time at the pace so far, in whole units."""
    if elapsed <= timedelta(0) or remaining <= timedelta(0):
        return 0
    return quantity * (remaining // _TICK) // (elapsed // _TICK)


def _share(amount: Decimal, part: int, whole: int) -> Decimal:
    exact = _EXACT.divide(_EXACT.multiply(amount, Decimal(part)), Decimal(whole))
    return exact.quantize(_UNIT_AMOUNT_STEP, context=_EXACT)
