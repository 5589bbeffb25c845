"""A plan of which the prices have tiers."""

from decimal import Decimal

from sqlalchemy.orm import Session

from core.models.billing import Plan, PlanPrice, PriceKind, PriceScheme
from tests.billing.months import JANUARY


def tiered_plan(db: Session) -> str:
    """A plan with a graduated, a volume and a flat price, and with a minimum."""
    db.add(Plan(code="tiered", name="Tiered", description="", currency="USD", position=9))
    db.flush()
    tiers = [
        {"up_to": 5_000_000, "unit_amount": "0.00004", "flat_amount": "0"},
        {"up_to": 20_000_000, "unit_amount": "0.00003", "flat_amount": "150"},
        {"up_to": None, "unit_amount": "0.000021", "flat_amount": "0"},
    ]
    # Kind, scheme, amount a unit, included quantity
    prices = (
        (PriceKind.PLATFORM, PriceScheme.FLAT, "0", 0),
        (PriceKind.MINIMUM, PriceScheme.FLAT, "1000", 0),
        (PriceKind.PREDICTION, PriceScheme.GRADUATED, "0", 1_000_000),
        (PriceKind.TRAINING, PriceScheme.VOLUME, "0", 0),
        (PriceKind.CHAT_INPUT, PriceScheme.FLAT, "0.000033", 50_000),
        (PriceKind.CHAT_OUTPUT, PriceScheme.GRADUATED, "0", 0),
    )
    for kind, scheme, amount, included in prices:
        db.add(
            PlanPrice(
                plan_code="tiered",
                kind=kind,
                scheme=scheme,
                unit_amount=Decimal(amount),
                included_quantity=included,
                tiers=None if scheme is PriceScheme.FLAT else tiers,
                effective_from=JANUARY.previous.start,
            )
        )
    db.flush()
    return "tiered"
