"""How bills read: what a line charges for, which days it covers, and what a price is for."""

from datetime import timedelta
from decimal import Decimal

from billing.money import money, per_million
from billing.rating import MONTHLY_KINDS, Line, Price
from billing.settlement import Settlement
from core.models.billing import Invoice, InvoiceLine, PriceKind

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
    if line.beyond:
        words += f", beyond {line.beyond:,}"
    by_days = line.kind in MONTHLY_KINDS and line.unit_amount != line.span.price.unit_amount
    partly = "part of " if by_days else ""
    if line.late:
        return f"{words} ({partly}{line.month.title})"
    return f"{words} ({partly}the month)" if partly else words


def price_in_words(kind: PriceKind, cents_per_unit: Decimal, currency: str) -> str:
    """An amount a unit as people compare it: tokens by the million, a fee or minimum as it is."""
    if kind in MONTHLY_KINDS:
        return money(cents_per_unit, currency)
    return f"{per_million(cents_per_unit, currency)} per million"


def steps_in_words(price: Price, currency: str) -> list[str]:
    """A price tier by tier, by the million; tiers end at what a month counts with what is included. A flat price is
    one line, which says what it is for."""
    if not price.tiers:
        return [price_in_words(PriceKind(price.kind), price.unit_amount, currency)]
    words = []
    lower = price.included_quantity
    for tier in price.tiers:
        written = per_million(tier.unit_amount, currency)
        if tier.flat_amount:
            written += f" + {money(tier.flat_amount, currency)}"
        if tier.up_to is None:
            words.append(f"beyond {lower:,}: {written}" if len(price.tiers) > 1 else written)
        else:
            lower = price.included_quantity + tier.up_to
            words.append(f"up to {lower:,}: {written}")
    return words


def days_of(line: InvoiceLine) -> str:
    """The days that an invoice's line covers: 1 Nov – 10 Nov 2026."""
    # A fee's day counts where its last moment is covered, so one that the stretch ends in does not.
    last = (line.ends_at - (timedelta(days=1) if line.kind in MONTHLY_KINDS else timedelta.resolution)).date()
    first = line.starts_at.date()
    if first == last:
        return f"{first:%-d %b %Y}"
    return f"{first:%-d %b} – {last:%-d %b %Y}"


def charge_in_words(line: InvoiceLine, currency: str) -> str:
    """What an invoice's line charges a unit, and beside it: "$0.30 per million + $5.00"."""
    price = price_in_words(line.kind, line.unit_amount, currency)
    if not line.flat_amount:
        return price
    return f"{price} {'+' if line.flat_amount > 0 else '−'} {money(abs(line.flat_amount), currency)}"


def sums_of(invoice: Invoice, settlement: Settlement) -> list[tuple[str, int]]:
    """What leads from an invoice's total to what is to pay, in cents; what is nothing is left out."""
    parts = (
        ("Tax", invoice.tax_cents),
        ("Becomes credit", max(0, -invoice.total_cents)),
        ("Paid with credit", -settlement.credits_cents),
        ("Credit notes", -settlement.noted_cents),
        ("Paid", -settlement.paid_cents),
    )
    return [(name, cents) for name, cents in parts if cents]
