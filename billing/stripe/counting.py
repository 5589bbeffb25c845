"""What Stripe counts of a tenant's month, by our outbox, and how its draft's lines read."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.plans import list_prices
from billing.rating import Price
from billing.stripe import outbox
from billing.stripe.catalogue_sync import StripeType
from billing.stripe.expected import Counted, Reason
from core.models.stripe import StripeCustomer, StripeObject
from core.models.usage import UsageKind

ITEM_LINE = "adaptary_line"
"""The entry of an invoice item's metadata that names the comparison's line which it belongs to."""


def count(
    session: Session, customer: StripeCustomer, month: Month, prices: Mapping[UsageKind, Price]
) -> dict[UsageKind, Counted]:
    """What Stripe counts of each kind by the reports that it took, and what of the ledger it does not, and why."""
    quantity = dict.fromkeys(UsageKind, 0)
    untold = {kind: dict.fromkeys(Reason, 0) for kind in UsageKind}
    for hour in outbox.balances(session, customer.tenant_id, month):
        if not outbox.is_counted(customer, hour.kind, hour.hour):
            untold[hour.kind][Reason.EARLIER] += hour.used
            continue
        quantity[hour.kind] += hour.sent
        untold[hour.kind][Reason.TOO_OLD] += hour.adjusted
        untold[hour.kind][Reason.REVERSED] += min(0, hour.missing)
    return {
        kind: Counted(quantity[kind], prices.get(kind), {why: n for why, n in untold[kind].items() if n})
        for kind in UsageKind
    }


def known_prices(session: Session) -> dict[str, Price]:
    """Our versions of prices by their ids at Stripe."""
    by_id = {str(price.id): price for price in list_prices(session)}
    rows = session.scalars(select(StripeObject).where(StripeObject.stripe_type == StripeType.PRICE))
    return {row.stripe_id: by_id[row.local_key] for row in rows if row.local_key in by_id}


def prices_of(lines: Iterable[Mapping[str, Any]], known: Mapping[str, Price]) -> dict[UsageKind, Price]:
    """Which price a draft rates each kind with."""
    found = (known.get(price_id) for line in lines if (price_id := _price_id(line)))
    return {UsageKind(price.kind): price for price in found if price is not None}


def cents_by_line(lines: Iterable[Mapping[str, Any]], known: Mapping[str, Price]) -> dict[str, int]:
    """A draft's lines summed by the comparison's. What we know nothing of is a line of its own."""
    sums: dict[str, int] = {}
    for line in lines:
        key = _line_of(line, known)
        sums[key] = sums.get(key, 0) + line["amount"]
    return sums


def _line_of(line: Mapping[str, Any], known: Mapping[str, Price]) -> str:
    price_id = _price_id(line)
    if price_id is not None and price_id in known:
        return known[price_id].kind
    named: str | None = line["metadata"].get(ITEM_LINE)
    return named or f"At Stripe only: {line['description'] or line['id']}"


def _price_id(line: Mapping[str, Any]) -> str | None:
    if line["parent"]["type"] != "subscription_item_details":
        return None
    price: str = line["pricing"]["price_details"]["price"]
    return price
