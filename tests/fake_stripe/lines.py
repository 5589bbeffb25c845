"""The lines of invoices: what prices make of quantities, and invoice items as they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tests.fake_stripe import openapi
from tests.fake_stripe.account import Account, Object
from tests.fake_stripe.decimals import plain, whole


@dataclass(frozen=True)
class Rated:
    """A quantity at one price, or at one tier of it; `flat` marks the tier's own amount."""

    quantity: int
    unit_amount: Decimal
    description: str

    @property
    def amount(self) -> int:
        return whole(self.quantity * self.unit_amount)


def rate(price: Object, quantity: int, name: str) -> list[Rated]:
    """A price's lines for a quantity: of a graduated price one for each tier that it reaches."""
    if price["billing_scheme"] == "per_unit":
        return [Rated(quantity, Decimal(price["unit_amount_decimal"]), f"{quantity} × {name}")]
    if price["tiers_mode"] == "volume":
        return list(_tier_lines(_tier_of(price, quantity), quantity, name))
    lines: list[Rated] = []
    below = 0
    for number, tier in enumerate(price["_tiers"], start=1):
        upper = quantity if tier["up_to"] is None else min(quantity, tier["up_to"])
        if upper > below or number == 1:
            lines += _tier_lines(tier, upper - below, f"{name} (Tier {number})")
        below = max(below, upper)
    return lines


def _tier_of(price: Object, quantity: int) -> Object:
    tiers: list[Object] = price["_tiers"]
    return next(tier for tier in tiers if tier["up_to"] is None or quantity <= tier["up_to"])


def _tier_lines(tier: Object, quantity: int, name: str) -> Iterator[Rated]:
    unit = Decimal(tier["unit_amount_decimal"] or 0)
    yield Rated(quantity, unit, f"{quantity} × {name}")
    if tier["flat_amount_decimal"] and Decimal(tier["flat_amount_decimal"]):
        yield Rated(1, Decimal(tier["flat_amount_decimal"]), f"{name}, flat amount")


def subscription_lines(
    account: Account, invoice: Object, item: Object, quantity: int, period: tuple[int, int]
) -> list[Object]:
    """The lines of one subscription item for a period."""
    price = account.objects[item["price"]["id"]]
    name = account.objects[price["product"]]["name"]
    details = {
        "invoice_item": None,
        "proration": False,
        "proration_details": None,
        "subscription": item["subscription"],
        "subscription_item": item["id"],
    }
    return [
        line(
            account,
            invoice,
            amount=rated.amount,
            description=rated.description,
            period={"start": period[0], "end": period[1]},
            parent={
                "type": "subscription_item_details",
                "subscription_item_details": details,
                "invoice_item_details": None,
            },
            pricing=pricing(price, rated.unit_amount),
            quantity=rated.quantity,
            subscription=item["subscription"],
        )
        for rated in rate(price, quantity, name)
    ]


def item_line(account: Account, invoice: Object, item: Object) -> Object:
    """The line of an invoice item."""
    details = {
        "invoice_item": item["id"],
        "proration": False,
        "proration_details": None,
        "subscription": item["_subscription"],
    }
    return line(
        account,
        invoice,
        amount=item["amount"],
        description=item["description"],
        metadata=item["metadata"],
        period=item["period"],
        parent={
            "type": "invoice_item_details",
            "invoice_item_details": details,
            "subscription_item_details": None,
        },
        pricing=item["pricing"],
        quantity=item["quantity"],
        subscription=item["_subscription"],
    )


def line(account: Account, invoice: Object, **values: object) -> Object:
    """A line of an invoice; it is no object of its own that could be asked for."""
    key = f"il_{account.number('il'):08d}"
    made = {
        **openapi.blank("line_item"),
        "id": key,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "discountable": True,
        "discount_amounts": [],
        "pretax_credit_amounts": [],
        "taxes": [],
        **values,
    }
    made["subtotal"] = made["amount"]
    made["quantity_decimal"] = str(made["quantity"])
    return made


def pricing(price: Object, unit_amount: Decimal) -> Object:
    """What a line says of its price."""
    details = {"price": price["id"], "product": price["product"]}
    return {"type": "price_details", "price_details": details, "unit_amount_decimal": plain(unit_amount)}
