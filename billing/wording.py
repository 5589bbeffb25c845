"""How bills read: what a line charges for, which days it covers, and what a price is for."""

from datetime import timedelta
from decimal import Decimal

from billing.money import money, per_million
from billing.rating import Line
from core.models.billing import InvoiceLine, PriceKind

KIND_TITLES = {
    PriceKind.PLATFORM: "Monthly fee",
    PriceKind.MINIMUM: "Monthly minimum",
    PriceKind.PREDICTION: "Prediction tokens",
    PriceKind.TRAINING: "Training tokens",
    PriceKind.CHAT_INPUT: "Chat input tokens",
    PriceKind.CHAT_OUTPUT: "Chat output tokens",
}


def describe(line: Line) -> str:
    """A line in words, for whoever reads the bill."""
    words = f"{KIND_TITLES[PriceKind(line.kind)]}, {line.span.price.plan_name}"
    partly = "part of " if line.unit_amount != line.span.price.unit_amount else ""
    if line.late:
        return f"{words} ({partly}{line.month.title})"
    return f"{words} ({partly}the month)" if partly else words


def price_in_words(kind: PriceKind, cents_per_unit: Decimal, currency: str) -> str:
    """A price as people compare it: tokens by the million, a fee as it is."""
    if kind == PriceKind.PLATFORM:
        return money(cents_per_unit, currency)
    return f"{per_million(cents_per_unit, currency)} per million"


def days_of(line: InvoiceLine) -> str:
    """The days that an invoice's line covers: 1 Nov – 10 Nov 2026."""
    # A fee's day counts where its last moment is covered, so one that the stretch ends in does not.
    last = (
        line.ends_at - (timedelta(days=1) if line.kind is PriceKind.PLATFORM else timedelta.resolution)
    ).date()
    first = line.starts_at.date()
    if first == last:
        return f"{first:%-d %b %Y}"
    return f"{first:%-d %b} – {last:%-d %b %Y}"
