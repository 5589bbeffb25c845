"""How a price of our catalogue reads at Stripe."""

from decimal import Decimal
from typing import Any

from billing.money import unit_price
from core.models.billing import PlanPrice, PriceScheme

EVERYTHING = "inf"


def price_params(price: PlanPrice, currency: str, product_id: str, meter_id: str) -> dict[str, Any]:
    """What makes a metered price of Stripe's of a version of one of ours.

    What is included is a first tier at nothing. No volume price has an included quantity (`billing.prices.add_price`):
    Stripe charges all of a month's units at the tier that they reach.
    """
    return {
        "currency": currency.lower(),
        "product": product_id,
        "lookup_key": f"adaptary-{price.id}",
        "nickname": f"{price.plan_code} {price.kind} from {price.effective_from:%Y-%m-%d}",
        "metadata": {"price_id": str(price.id)},
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter_id},
        "tax_behavior": "exclusive",
        **_amounts(price),
    }


def _amounts(price: PlanPrice) -> dict[str, Any]:
    if price.scheme is not PriceScheme.FLAT:
        paid = [_tier(tier, price.included_quantity) for tier in price.tiers or ()]
    elif price.included_quantity:
        paid = [{"up_to": EVERYTHING, "unit_amount_decimal": unit_price(price.unit_amount)}]
    else:
        return {"unit_amount_decimal": unit_price(price.unit_amount)}
    included = [{"up_to": price.included_quantity, "unit_amount_decimal": "0"}]
    return {
        "billing_scheme": "tiered",
        "tiers_mode": "volume" if price.scheme is PriceScheme.VOLUME else "graduated",
        "tiers": [*(included if price.included_quantity else ()), *paid],
    }


def _tier(tier: dict[str, Any], included: int) -> dict[str, Any]:
    """A tier with its end counted from the month's first unit on, as Stripe counts."""
    up_to = EVERYTHING if tier["up_to"] is None else tier["up_to"] + included
    flat = Decimal(tier["flat_amount"])
    amounts = {"unit_amount_decimal": unit_price(Decimal(tier["unit_amount"]))}
    return {"up_to": up_to, **amounts, **({"flat_amount_decimal": unit_price(flat)} if flat else {})}
