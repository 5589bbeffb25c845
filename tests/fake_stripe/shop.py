"""A customer with a metered subscription at Stripe's stand-in, for the tests of the stand-in itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

from billing.stripe.client import StripeClient
from tests.fake_stripe.fixtures import API_KEY
from tests.fake_stripe.server import FakeStripe

START = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp())
FEBRUARY = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
HOUR, DAY = 3600, 86400


@dataclass
class FakeShop:
    """The stand-in, the way to it, and the ids of what `open_shop` made."""

    fake: FakeStripe
    client: StripeClient
    ids: dict[str, str]
    _keys: "count[int]"

    def post(self, path: str, /, **params: Any) -> dict[str, Any]:
        return self.client.post(path, params, key=f"test-{next(self._keys)}")

    def make(self, called: str, path: str, /, **params: Any) -> str:
        self.ids[called] = self.post(path, **params)["id"]
        return self.ids[called]

    def use(self, value: str, identifier: str, at: int, **event: Any) -> dict[str, Any]:
        payload = {"stripe_customer_id": self.ids["customer"], "value": value}
        whole = {"event_name": "tokens", "payload": payload, "timestamp": at, "identifier": identifier}
        return self.post("/v1/billing/meter_events", **{**whole, **event})

    def invoice(self) -> dict[str, Any]:
        """The customer's latest."""
        return next(self.client.each("/v1/invoices", {"customer": self.ids["customer"]}))

    def event_types(self) -> list[str]:
        return [event["type"] for event in self.fake.account.events]


def open_shop(card: str = "pm_card_visa", **subscription: Any) -> FakeShop:
    """From 15 January on: half a cent a token, invoiced on the first of each month."""
    fake = FakeStripe()
    fake.account.frozen = START
    shop = FakeShop(fake, StripeClient(API_KEY, fake), {}, count(1))
    customer = shop.make("customer", "/v1/customers", name="Acme", email="ada@example.com")
    method = shop.make("card", f"/v1/payment_methods/{card}/attach", customer=customer)
    shop.post(f"/v1/customers/{customer}", invoice_settings={"default_payment_method": method})
    product = shop.make("product", "/v1/products", name="Tokens")
    meter = shop.make(
        "meter",
        "/v1/billing/meters",
        display_name="Tokens",
        event_name="tokens",
        default_aggregation={"formula": "sum"},
    )
    price = shop.make(
        "price",
        "/v1/prices",
        product=product,
        currency="usd",
        unit_amount_decimal="0.5",
        recurring={"interval": "month", "usage_type": "metered", "meter": meter},
    )
    shop.make(
        "subscription",
        "/v1/subscriptions",
        customer=customer,
        items=[{"price": price}],
        billing_cycle_anchor=FEBRUARY,
        proration_behavior="none",
        **subscription,
    )
    return shop
