"""What usage costs: exact arithmetic on integers and Decimal, with no clock and no database.

A month's usage of one kind meets a row of `Span`s, one for each price that was in force. The included quota is
one quota for the whole month, consumed in the order of time: a span takes what its own price includes, less what
earlier spans took. What is beyond it moves through the tiers of the price in the same order, and each span and
tier gives one line. An amount is rounded once, at its line, half up: as Stripe rounds.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import accumulate
from uuid import UUID

from billing.periods import Month, last_moment_of
from core.models.billing import PriceKind, PriceScheme

# Wide enough for a bigint quantity times a numeric(24,12) without rounding on the way.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_HALF = Decimal("0.5")
_NOTHING = Decimal(0)
_UNIT_AMOUNT_STEP = Decimal("1e-12")
_TICK = timedelta(microseconds=1)

MONTHLY_KINDS = (PriceKind.PLATFORM, PriceKind.MINIMUM)
"""What is priced by the month instead of the token."""


class NoPriceInForce(Exception):
    """Usage happened at a moment for which the catalogue has no price."""


@dataclass(frozen=True)
class Tier:
    """A step of a price: the units of a month that follow the tier before, up to the `up_to`th (None: all the rest).

    They are counted without what is included. `unit_amount` is in cents; `flat_amount`, in whole cents, is charged
    once in a month that reaches the tier.
    """

    up_to: int | None
    unit_amount: Decimal
    flat_amount: Decimal = _NOTHING


@dataclass(frozen=True)
class Price:
    """One version of one price; `unit_amount` is in cents a unit: a token, or a month of fee or minimum.

    A graduated or volume price has `tiers` instead, the last of them without end.
    """

    id: UUID
    plan_code: str
    plan_name: str
    kind: str
    unit_amount: Decimal
    included_quantity: int
    effective_from: datetime
    scheme: PriceScheme = PriceScheme.FLAT
    tiers: tuple[Tier, ...] = ()

    @property
    def steps(self) -> tuple[Tier, ...]:
        """Its tiers; of a flat price the one that every unit is in."""
        return self.tiers or (Tier(None, self.unit_amount),)


@dataclass(frozen=True)
class Span:
    """A price and the stretch of time, `[start, end)`, in which a tenant has it."""

    start: datetime
    end: datetime
    price: Price


@dataclass(frozen=True)
class Rated:
    """A quantity, parted into what the plan includes and what is charged. All are negative where a line takes back."""

    quantity: int
    included_quantity: int
    amount_cents: int

    @property
    def billable_quantity(self) -> int:
        return self.quantity - self.included_quantity

    def __add__(self, other: "Rated") -> "Rated":
        return Rated(
            self.quantity + other.quantity,
            self.included_quantity + other.included_quantity,
            self.amount_cents + other.amount_cents,
        )

    def __neg__(self) -> "Rated":
        return Rated(-self.quantity, -self.included_quantity, -self.amount_cents)

    def __sub__(self, other: "Rated") -> "Rated":
        return self + -other


@dataclass(frozen=True)
class Line:
    """One line of a bill: what one tier of a price charges for one month's usage of one kind.

    `month` is when the usage happened; `late` says that its own month's invoice was made before it was known.
    `unit_amount` is the tier's, but for a fee or minimum of part of a month, where it is that part of it.
    The amount is what is billable × `unit_amount`, rounded, + `flat_amount`, in whole cents. `beyond` units of the
    month were charged at lower tiers.
    """

    month: Month
    span: Span
    unit_amount: Decimal
    rated: Rated
    late: bool = False
    flat_amount: Decimal = _NOTHING
    beyond: int = 0

    @property
    def kind(self) -> str:
        return self.span.price.kind

    @property
    def amount_cents(self) -> int:
        return self.rated.amount_cents


@dataclass(frozen=True)
class _Part:
    """The units that one tier charges for."""

    units: int
    tier: Tier
    flat_amount: Decimal = _NOTHING
    beyond: int = 0

    @property
    def exact(self) -> Decimal:
        return _EXACT.add(_EXACT.multiply(Decimal(self.units), self.tier.unit_amount), self.flat_amount)


def cents(amount: Decimal) -> int:
    """Round an amount in cents to whole cents, half up: towards more, so that whole cents beside it change nothing."""
    return int(_EXACT.add(amount, _HALF).to_integral_value("ROUND_FLOOR"))


def charge(quantity: int, unit_amount: Decimal) -> int:
    """What a billable quantity costs, in whole cents."""
    return cents(_EXACT.multiply(Decimal(quantity), unit_amount))


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


def rate_spans(month: Month, spans: Sequence[Span], quantities: Sequence[int]) -> list[Line]:
    """Rate one kind's quantities, one for each span in order of time; a span without usage gives no line.

    Raises ValueError for a negative quantity: what is reversed counts in the span of what it reverses, so no span's
    sum is below zero.
    """
    included = _share_quota([span.price for span in spans], quantities)
    billable = [quantity - free for quantity, free in zip(quantities, included, strict=True)]
    before = [0, *accumulate(billable)]
    lines = []
    for index, span in enumerate(spans):
        free = included[index]
        for part in _parts(span.price, before[index], billable[index], before[-1]):
            if part.units + free:
                rated = Rated(part.units + free, free, cents(part.exact))
                lines.append(
                    Line(
                        month,
                        span,
                        part.tier.unit_amount,
                        rated,
                        flat_amount=part.flat_amount,
                        beyond=part.beyond,
                    )
                )
            free = 0
    return lines


def rate_platform_fee(month: Month, spans: Sequence[Span], *, late: bool = False) -> list[Line]:
    """The month's fee by days: a UTC day goes to the price in force at its last moment, so none counts twice.

    Spans of a part of the month, as `clip` gives, are charged for that part. A price of zero gives no line.
    """
    return [
        Line(month, span, share, Rated(1, 0, cents(share)), late) for span, share in _by_days(month, spans)
    ]


def rate_minimum(month: Month, spans: Sequence[Span], usage_cents: int) -> list[Line]:
    """One line for what `usage_cents` are short of the month's least amount, which counts by days as a fee does.

    Where prices of it changed, the line has their sum and the last one's name.
    """
    shares = list(_by_days(month, spans))
    least = sum((share for _, share in shares), _NOTHING)
    short = cents(least) - usage_cents
    if short <= 0 or not shares:
        return []
    span = Span(shares[0][0].start, shares[-1][0].end, shares[-1][0].price)
    return [Line(month, span, least, Rated(1, 0, short), flat_amount=Decimal(-usage_cents))]


def total_cents(lines: Iterable[Line]) -> int:
    """A bill's total: the sum of its rounded lines, so that what a reader adds up is what is asked for."""
    return sum(line.amount_cents for line in lines)


def project(quantity: int, elapsed: timedelta, remaining: timedelta) -> int:
    """How much more is used in the remaining time at the pace so far, in whole units."""
    if elapsed <= timedelta(0) or remaining <= timedelta(0):
        return 0
    return quantity * (remaining // _TICK) // (elapsed // _TICK)


def _share_quota(prices: Sequence[Price], quantities: Sequence[int]) -> list[int]:
    """How much of each quantity is included: each takes what its price includes, less what those before took."""
    taken = 0
    shares = []
    for price, quantity in zip(prices, quantities, strict=True):
        if quantity < 0:
            raise ValueError(f"A quantity cannot be negative: {quantity} units.")
        shares.append(min(quantity, max(0, price.included_quantity - taken)))
        taken += shares[-1]
    return shares


def _parts(price: Price, before: int, units: int, in_month: int) -> list[_Part]:
    """Part billable units that follow `before` others, of `in_month` in all, among a price's tiers."""
    if price.scheme is PriceScheme.VOLUME:
        reached = next(tier for tier in price.steps if tier.up_to is None or in_month <= tier.up_to)
        return [_Part(units, reached, reached.flat_amount if units and not before else _NOTHING)]
    parts = []
    lower = 0
    for tier in price.steps:
        upper = before + units if tier.up_to is None else min(before + units, tier.up_to)
        inside = upper - max(before, lower)
        if inside > 0:
            # Who came in with an earlier part has paid the tier's flat amount.
            parts.append(_Part(inside, tier, tier.flat_amount if before <= lower else _NOTHING, lower))
        lower = tier.up_to or lower
    return parts or [_Part(0, price.steps[0])]


def _by_days(month: Month, spans: Sequence[Span]) -> Iterator[tuple[Span, Decimal]]:
    """Each span's share of its price, by the days whose last moment lies in it; none where that is nothing."""
    for span in spans:
        days = sum(span.start <= last_moment_of(day) < span.end for day in month.days)
        amount = span.price.unit_amount
        if days and amount:
            yield span, amount if days == month.length else _share(amount, days, month.length)


def _share(amount: Decimal, part: int, whole: int) -> Decimal:
    exact = _EXACT.divide(_EXACT.multiply(amount, Decimal(part)), Decimal(whole))
    return exact.quantize(_UNIT_AMOUNT_STEP, context=_EXACT)
