"""What a draft of Stripe's must come to, by our invoice: pure, with no clock and no database.

Stripe rates what its meters counted. All else is an invoice item: fee, minimum, late lines, credits, and for a
kind of usage what its lines come to beyond what Stripe rates, where it is known why they differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from billing.periods import Month
from billing.rating import Price, Span, rate_spans, total_cents
from billing.wording import KIND_TITLES
from core.models.billing import Invoice, InvoiceLine, PriceKind
from core.models.usage import UsageKind

CREDITS, CARRIED, DISCOUNT, ALL = "credits", "carried", "discount", "all"
"""Lines that are none of our invoice's: credits drawn, a sum below zero that became credit, Stripe's coupons, and the
whole of what Stripe asks for where we have no invoice."""


class Reason(StrEnum):
    """Why what Stripe counted of a kind is not what our lines charge.

    PRICE: it was used at several prices, or another than the subscription's. EARLIER: used before the subscription
    counted it. TOO_OLD: given up by the outbox. REVERSED: taken back after it was reported.
    """

    PRICE = "price"
    EARLIER = "earlier"
    TOO_OLD = "too_old"
    REVERSED = "reversed"


_WORDS = {
    Reason.PRICE: "price changed",
    Reason.EARLIER: "used before the subscription",
    Reason.TOO_OLD: "reported late",
    Reason.REVERSED: "corrected",
}


@dataclass(frozen=True)
class Counted:
    """One usage kind of a month at Stripe: tokens that it was told of and counts, and the price it rates them with.

    `untold` are tokens of the month that it does not count, by the reason; negative where it counts too many.
    """

    quantity: int
    price: Price | None
    untold: Mapping[Reason, int]


@dataclass(frozen=True)
class Item:
    """An invoice item that Stripe's draft wants; `line` is the line of the comparison that it belongs to."""

    line: str
    description: str
    amount_cents: int


@dataclass(frozen=True)
class Expected:
    """What our invoice asks for by line of the comparison, in cents, and the items that make Stripe's draft ask the same.

    `titles` are the lines' names for people. `problems` say of which kinds tokens are not accounted for.
    """

    ledger: Mapping[str, int]
    titles: Mapping[str, str]
    items: Sequence[Item]
    problems: Sequence[str]


@dataclass(frozen=True)
class Compared:
    """One line of the comparison, in cents; `line` is its name for people."""

    key: str
    line: str
    ledger_cents: int
    stripe_cents: int

    @property
    def difference_cents(self) -> int:
        return self.stripe_cents - self.ledger_cents

    def to_json(self) -> dict[str, Any]:
        return {"line": self.line, "ledger_cents": self.ledger_cents, "stripe_cents": self.stripe_cents}


def expect(invoice: Invoice, lines: Sequence[InvoiceLine], counted: Mapping[UsageKind, Counted]) -> Expected:
    """What Stripe's draft for an invoice must come to, given what Stripe counts of each kind."""
    month = Month.containing(invoice.period_start)
    ledger: dict[str, int] = {}
    titles: dict[str, str] = {}
    items: list[Item] = []
    problems: list[str] = []
    for kind in UsageKind:
        own = [line for line in lines if _is_own_usage(line, kind, month)]
        ledger[kind] = sum(line.amount_cents for line in own)
        titles[kind] = KIND_TITLES[PriceKind(kind)]
        item, problem = _adjustment(kind, titles[kind], own, counted[kind], month)
        items += [item] if item else []
        problems += [problem] if problem else []
    for line in lines:
        if not any(_is_own_usage(line, kind, month) for kind in UsageKind):
            items.append(Item(f"line-{line.position}", line.description, line.amount_cents))
    items.append(Item(CREDITS, "Credits", -invoice.credits_cents))
    items.append(Item(CARRIED, "Carried over as credit", max(0, -invoice.total_cents)))
    for item in items:
        if item.line not in ledger:
            ledger[item.line], titles[item.line] = item.amount_cents, item.description
    return Expected(ledger, titles, [item for item in items if item.amount_cents], problems)


def _is_own_usage(line: InvoiceLine, kind: UsageKind, month: Month) -> bool:
    return line.kind.value == kind.value and line.usage_month == month.days[0]


def _adjustment(
    kind: UsageKind, title: str, lines: Sequence[InvoiceLine], counted: Counted, month: Month
) -> tuple[Item | None, str | None]:
    """The item for a kind's difference, where it is explained, and else what is wrong."""
    invoiced = sum(line.quantity for line in lines)
    accounted = counted.quantity + sum(counted.untold.values())
    if invoiced != accounted:
        return None, f"{title}: {invoiced:,} tokens are invoiced, and {accounted:,} accounted for at Stripe."
    difference = sum(line.amount_cents for line in lines) - rated_cents(counted, month)
    reasons = [reason for reason, quantity in counted.untold.items() if quantity]
    if counted.price is not None and {line.price_id for line in lines} - {counted.price.id}:
        reasons.append(Reason.PRICE)
    if not difference or not reasons:
        return None, None
    words = ", ".join(_WORDS[reason] for reason in reasons)
    return Item(kind, f"{title}: {words}", difference), None


def rated_cents(counted: Counted, month: Month) -> int:
    """What Stripe makes of what it counted, in cents."""
    if counted.price is None or counted.quantity <= 0:
        return 0
    span = Span(month.start, month.end, counted.price)
    return total_cents(rate_spans(month, [span], [counted.quantity]))


def compare(expected: Expected, stripe_cents: Mapping[str, int], discount_cents: int) -> list[Compared]:
    """Our invoice against the sums of Stripe's draft, line by line; lines where neither asks for anything are left out.

    A discount of Stripe's is a line of its own, in which both agree: it becomes a credit on our invoice.
    """
    keys = [*expected.ledger, *(key for key in stripe_cents if key not in expected.ledger)]
    lines = [
        Compared(key, expected.titles.get(key, key), expected.ledger.get(key, 0), stripe_cents.get(key, 0))
        for key in keys
    ]
    if discount_cents:
        lines.append(Compared(DISCOUNT, "Discount", -discount_cents, -discount_cents))
    return [line for line in lines if line.ledger_cents or line.stripe_cents]
