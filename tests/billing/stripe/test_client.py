"""The way to Stripe: what goes wrong comes out as an error of ours, without the key."""

import re
from pathlib import Path

import pytest

from billing.stripe import client as stripe_client_module
from billing.stripe.client import (
    API_VERSION,
    BadSignature,
    CardDeclined,
    StripeClient,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
    stripe_client,
    verify_signature,
)
from core.config import get_settings
from stack.child import ROOT
from tests.fake_stripe import openapi
from tests.fake_stripe.failures import Failure
from tests.fake_stripe.fixtures import API_KEY, WEBHOOK_SECRET
from tests.fake_stripe.webhooks import signed


@pytest.fixture
def client(fake_stripe):
    return stripe_client()


def test_the_version_asked_for_is_the_one_that_the_tests_hold_it_to(client, fake_stripe):
    assert openapi.version() == API_VERSION
    client.get("/v1/customers")  # which the stand-in refuses to an other version


def test_without_a_key_there_is_no_client():
    assert get_settings().stripe_secret_key == ""
    assert stripe_client() is None


@pytest.mark.parametrize("failure", list(Failure))
def test_a_failure_of_the_network_or_of_stripe_is_tried_again_by_whoever_asks(client, fake_stripe, failure):
    fake_stripe.failures.plan(failure)
    with pytest.raises(StripeUnavailable):
        client.post("/v1/customers", {"name": "Acme"}, key="customer")
    assert client.post("/v1/customers", {"name": "Acme"}, key="customer")["name"] == "Acme"
    assert len(fake_stripe.account.of("customer")) == 1


def test_a_key_used_for_something_else_is_refused(client):
    client.post("/v1/customers", {"name": "Acme"}, key="customer")
    with pytest.raises(StripeRefused, match="idempotency key"):
        client.post("/v1/customers", {"name": "Other"}, key="customer")


def test_a_misspelt_parameter_is_named(client):
    product = client.post("/v1/products", {"name": "Tokens"}, key="product")
    wrong = {
        "product": product["id"],
        "currency": "usd",
        "unit_amount": 1,
        "recurring": {"interval": "month", "metter": "mtr_1"},
    }
    with pytest.raises(StripeRefused) as error:
        client.post("/v1/prices", wrong, key="price")
    assert error.value.param == "recurring[metter]"
    assert error.value.code == "parameter_unknown"


def test_what_is_not_there_is_missing(client):
    with pytest.raises(StripeMissing):
        client.get("/v1/customers/cus_nobody")


def test_a_declined_card_says_so(client):
    customer = client.post("/v1/customers", key="customer")
    with pytest.raises(CardDeclined, match="declined"):
        client.post(
            "/v1/payment_methods/pm_card_chargeDeclined/attach", {"customer": customer["id"]}, key="card"
        )


def test_a_wrong_key_is_said_without_the_key(fake_stripe):
    client = StripeClient("sk_live_" + "x" * 24, fake_stripe)
    with pytest.raises(StripeRefused, match="STRIPE_SECRET_KEY") as error:
        client.get("/v1/customers")
    assert "xxx" not in str(error.value)
    assert API_KEY not in repr(get_settings())


def test_what_the_stand_in_does_not_model_is_refused(client):
    with pytest.raises(StripeRefused, match="Not modelled"):
        client.get("/v1/disputes")
    with pytest.raises(StripeRefused, match="Not modelled"):
        client.post("/v1/checkout/sessions", {"mode": "payment"}, key="session")


def test_a_list_is_read_page_by_page(client, fake_stripe):
    for number in range(5):
        client.post("/v1/customers", {"name": f"Tenant {number}"}, key=f"customer {number}")
    names = [one["name"] for one in client.each("/v1/customers", {"limit": 2})]
    assert names == [f"Tenant {number}" for number in (4, 3, 2, 1, 0)]
    assert sum(request.method == "get" for request in fake_stripe.requests) == 3


def test_a_signature_holds_for_five_minutes_and_that_body(client, fake_stripe):
    client.post("/v1/customers", key="customer")
    body, header = signed(fake_stripe.account.events[0], WEBHOOK_SECRET)
    verify_signature(body, header, WEBHOOK_SECRET)
    with pytest.raises(BadSignature):
        verify_signature(body + b" ", header, WEBHOOK_SECRET)
    with pytest.raises(BadSignature):
        verify_signature(body, header, "whsec_another")
    with pytest.raises(BadSignature):
        verify_signature(body, "", WEBHOOK_SECRET)
    with pytest.raises(BadSignature):
        verify_signature(*signed(fake_stripe.account.events[0], WEBHOOK_SECRET, at=0), WEBHOOK_SECRET)


def test_one_module_imports_stripes_library():
    pattern = re.compile(r"^\s*(import stripe|from stripe)\b", re.MULTILINE)
    modules = [
        path
        for folder in ("billing", "core", "inference", "portal", "training")
        for path in Path(ROOT, folder).rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert modules == [Path(str(stripe_client_module.__file__))]
