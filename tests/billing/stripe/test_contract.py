"""What we rely on in Stripe, asked of the stand-in, and of Stripe itself where there is a key for its test mode:

    STRIPE_TEST_KEY=sk_test_… make test ARGS="tests/billing/stripe/test_contract.py"

On Stripe it takes some minutes, and leaves an archived product and an inactive meter behind. A test that holds there
and not here, or the other way round, is a mistake of the stand-in.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from billing.stripe.client import (
    CardDeclined,
    StripeClient,
    StripeMissing,
    StripeRefused,
    make_http_client,
)
from core.waiting import wait_until
from tests.fake_stripe.fixtures import API_KEY

TEST_KEY = os.environ.get("STRIPE_TEST_KEY", "")
HOUR = 3600
_STRIPES_SECONDS, _EVERY = 300, 1


def make_client(where: str) -> StripeClient:
    if where == "stripe":
        assert TEST_KEY.startswith(("sk_test_", "rk_test_")), "STRIPE_TEST_KEY is a key for test mode."
        return StripeClient(TEST_KEY, make_http_client())
    from tests.fake_stripe.server import FakeStripe

    return StripeClient(API_KEY, FakeStripe())


@dataclass
class Shop:
    """A customer on a test clock with a card, and a subscription that meters three prices."""

    client: StripeClient
    name: str
    started: int
    objects: dict[str, Any]

    def post(self, path: str, **params: Any) -> dict[str, Any]:
        return self.client.post(path, params, key=f"contract-{uuid4()}")

    def __getitem__(self, name: str) -> str:
        return str(self.objects[name]["id"])

    def use(self, meter: str, value: int, identifier: str) -> None:
        payload = {"stripe_customer_id": self["customer"], "value": str(value)}
        self.post(
            "/v1/billing/meter_events",
            event_name=self.objects[meter]["event_name"],
            identifier=f"{self.name}-{identifier}",
            payload=payload,
            timestamp=self.started,
        )

    def counted(self, meter: str) -> int:
        begin = self.started - self.started % HOUR
        found = self.client.each(
            f"/v1/billing/meters/{self[meter]}/event_summaries",
            {"customer": self["customer"], "start_time": begin, "end_time": begin + HOUR},
        )
        return int(sum(one["aggregated_value"] for one in found))

    def advance(self, to: int) -> None:
        path = f"/v1/test_helpers/test_clocks/{self['clock']}"
        self.post(f"{path}/advance", frozen_time=to)
        assert wait_until(lambda: self.client.get(path)["status"] == "ready", _STRIPES_SECONDS, _EVERY)


METERS = ("flat", "graduated", "volume")


@pytest.fixture(scope="module", params=["stand-in", *(["stripe"] if TEST_KEY else [])])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    name = f"contract-{uuid4().hex[:12]}"
    shop = Shop(make_client(request.param), name, int(time.time()), {})
    made = shop.objects
    made["clock"] = shop.post("/v1/test_helpers/test_clocks", frozen_time=shop.started, name=name)
    made["customer"] = shop.post(
        "/v1/customers", name=name, email="ada@example.com", test_clock=shop["clock"]
    )
    made["card"] = shop.post("/v1/payment_methods/pm_card_visa/attach", customer=shop["customer"])
    shop.post(f"/v1/customers/{shop['customer']}", invoice_settings={"default_payment_method": shop["card"]})
    made["product"] = shop.post("/v1/products", name=name)
    for meter in METERS:
        made[meter] = shop.post(
            "/v1/billing/meters",
            display_name=meter,
            event_name=f"{name}-{meter}",
            default_aggregation={"formula": "sum"},
        )
    amounts: dict[str, dict[str, Any]] = {
        "flat": {"unit_amount_decimal": "0.05"},
        "graduated": {
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [
                {"up_to": 100, "unit_amount_decimal": "0"},
                {"up_to": 200, "unit_amount_decimal": "0.5"},
                {"up_to": "inf", "unit_amount_decimal": "0.000000000001"},
            ],
        },
        "volume": {
            "billing_scheme": "tiered",
            "tiers_mode": "volume",
            "tiers": [
                {"up_to": 10, "unit_amount_decimal": "9"},
                {"up_to": "inf", "unit_amount_decimal": "2"},
            ],
        },
    }
    for meter in METERS:
        recurring = {"interval": "month", "usage_type": "metered", "meter": shop[meter]}
        made[f"{meter} price"] = shop.post(
            "/v1/prices", product=shop["product"], currency="usd", recurring=recurring, **amounts[meter]
        )
    made["subscription"] = shop.post(
        "/v1/subscriptions",
        customer=shop["customer"],
        items=[{"price": shop[f"{meter} price"]} for meter in METERS],
    )
    yield shop
    shop.client.delete(f"/v1/test_helpers/test_clocks/{shop['clock']}")
    for meter in METERS:
        shop.post(f"/v1/billing/meters/{shop[meter]}/deactivate")
    shop.post(f"/v1/products/{shop['product']}", active=False)


@pytest.fixture(scope="module")
def draft(shop: Shop) -> dict[str, Any]:
    """The month's invoice while it is a draft, which does not advance by itself."""
    shop.use("flat", 10, "flat")
    shop.use("graduated", 205, "graduated")
    shop.use("volume", 11, "volume")
    assert wait_until(
        lambda: [shop.counted(one) for one in METERS] == [10, 205, 11], _STRIPES_SECONDS, _EVERY
    )
    shop.advance(_period_end(shop) + 60)
    (draft,) = shop.client.each("/v1/invoices", {"customer": shop["customer"], "status": "draft"})
    shop.post(f"/v1/invoices/{draft['id']}", auto_advance=False)
    return draft


def _period_end(shop: Shop) -> int:
    subscription = shop.client.get(f"/v1/subscriptions/{shop['subscription']}")
    return int(subscription["items"]["data"][0]["current_period_end"])


@pytest.fixture(scope="module")
def paid(shop: Shop, draft: dict[str, Any]) -> dict[str, Any]:
    """The same invoice with two items more, finalised and paid."""
    path = f"/v1/invoices/{draft['id']}"
    for amount in (2900, -400):
        shop.post(
            "/v1/invoiceitems",
            customer=shop["customer"],
            invoice=draft["id"],
            amount=amount,
            currency="usd",
            description="Adjustment",
        )
    shop.post(f"{path}/finalize")
    shop.post(f"{path}/pay")
    return shop.client.get(path, {"expand": ["payments"]})


def amounts_of(shop: Shop, invoice: dict[str, Any], meter: str) -> list[tuple[int, int]]:
    """Quantity and amount of a price's lines that are not empty."""
    lines = shop.client.each(f"/v1/invoices/{invoice['id']}/lines")
    return sorted(
        (line["quantity"], line["amount"])
        for line in lines
        if line["pricing"]
        and line["pricing"]["price_details"]["price"] == shop[f"{meter} price"]
        and line["quantity"]
    )


def test_a_misspelt_parameter_is_named(shop):
    with pytest.raises(StripeRefused) as error:
        shop.post("/v1/prices", product=shop["product"], currency="usd", recurring={"metter": "x"})
    assert error.value.param == "recurring[metter]"
    assert error.value.code == "parameter_unknown"


def test_what_is_not_there_is_missing(shop):
    with pytest.raises(StripeMissing):
        shop.client.get("/v1/customers/cus_000000000000")


def test_an_idempotency_key_gives_the_first_answer_and_takes_no_other_question(shop):
    key = f"contract-{uuid4()}"
    first = shop.client.post("/v1/products", {"name": shop.name, "active": False}, key=key)
    assert (
        shop.client.post("/v1/products", {"name": shop.name, "active": False}, key=key)["id"] == first["id"]
    )
    with pytest.raises(StripeRefused, match="idempotency key"):
        shop.client.post("/v1/products", {"name": "Other", "active": False}, key=key)


def test_a_decimal_price_keeps_twelve_decimals(shop):
    price = shop.client.get(f"/v1/prices/{shop['graduated price']}", {"expand": ["tiers"]})
    assert price["unit_amount"] is None
    assert price["tiers"][2]["unit_amount_decimal"] == "0.000000000001"


def test_a_usage_event_sent_twice_is_refused_and_counted_once(shop, draft):
    with pytest.raises(StripeRefused, match="already exists with identifier"):
        shop.use("flat", 10, "flat")


def test_usage_older_than_35_days_is_refused(shop):
    with pytest.raises(StripeRefused):
        shop.post(
            "/v1/billing/meter_events",
            event_name=shop.objects["flat"]["event_name"],
            payload={"stripe_customer_id": shop["customer"], "value": "1"},
            timestamp=shop.started - 36 * 24 * HOUR,
        )


def test_a_month_ends_in_a_draft(shop, draft):
    assert draft["billing_reason"] == "subscription_cycle"
    assert draft["parent"]["subscription_details"]["subscription"] == shop["subscription"]
    assert draft["automatically_finalizes_at"] >= draft["created"] + HOUR - 60


def test_half_a_cent_is_rounded_up(shop, draft):
    assert amounts_of(shop, draft, "flat") == [(10, 1)]


def test_a_graduated_price_has_a_line_for_each_tier(shop, draft):
    assert amounts_of(shop, draft, "graduated") == [(5, 0), (100, 0), (100, 50)]


def test_a_volume_price_has_one_line_at_the_tier_that_is_reached(shop, draft):
    assert amounts_of(shop, draft, "volume") == [(11, 22)]


def test_a_draft_that_does_not_advance_stays_one(shop, draft):
    shop.advance(_period_end(shop) - 20 * 24 * HOUR)
    assert shop.client.get(f"/v1/invoices/{draft['id']}")["status"] == "draft"


def test_the_invoice_with_its_items_is_paid_by_the_card(paid):
    assert paid["status"] == "paid"
    assert paid["total"] == paid["amount_paid"] == 1 + 50 + 22 + 2900 - 400
    (payment,) = paid["payments"]["data"]
    assert payment["status"] == "paid"
    assert payment["payment"]["type"] == "payment_intent"


def test_a_settled_invoice_takes_no_more_items(shop, paid):
    with pytest.raises(StripeRefused):
        shop.post("/v1/invoiceitems", customer=shop["customer"], invoice=paid["id"], amount=1, currency="usd")


def test_a_credit_note_pays_back(shop, paid):
    note = shop.post("/v1/credit_notes", invoice=paid["id"], amount=500, refund_amount=300, credit_amount=200)
    assert note["post_payment_amount"] == 500
    assert note["refunds"][0]["amount_refunded"] == 300


def test_a_card_that_is_refused_leaves_the_invoice_open(shop):
    bad = shop.post("/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=shop["customer"])
    invoice = shop.post("/v1/invoices", customer=shop["customer"], auto_advance=False)
    shop.post(
        "/v1/invoiceitems", customer=shop["customer"], invoice=invoice["id"], amount=5000, currency="usd"
    )
    path = f"/v1/invoices/{invoice['id']}"
    shop.post(f"{path}/finalize", auto_advance=False)
    with pytest.raises(CardDeclined):
        shop.post(f"{path}/pay", payment_method=bad["id"])
    assert shop.client.get(path)["status"] == "open"
    assert shop.post(f"{path}/void")["status"] == "void"


def test_checkout_and_the_portal_have_pages(shop):
    checkout = shop.post(
        "/v1/checkout/sessions",
        mode="setup",
        customer=shop["customer"],
        customer_update={"address": "auto", "name": "auto"},
        currency="usd",
        billing_address_collection="required",
        tax_id_collection={"enabled": True},
        success_url="https://example.com/return?checkout={CHECKOUT_SESSION_ID}",
        cancel_url="https://example.com/",
    )
    assert checkout["status"] == "open"
    assert checkout["url"].startswith("https://")
    configuration = shop.post(
        "/v1/billing_portal/configurations", features={"payment_method_update": {"enabled": True}}
    )
    page = shop.post(
        "/v1/billing_portal/sessions",
        customer=shop["customer"],
        configuration=configuration["id"],
        return_url="https://example.com/",
    )
    assert page["url"].startswith("https://")
