"""Our catalogue at Stripe: made once, never altered, and at the prices that we rate with."""

import json
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from billing.stripe.catalogue_prices import price_params
from billing.stripe.catalogue_sync import (
    NotAtStripe,
    StripeType,
    event_name,
    get_stripe_id,
    sync_catalogue,
)
from billing.stripe.client import StripeRefused, StripeUnavailable, stripe_client
from core.clock import now
from core.config import get_settings
from core.db import operator_session
from core.models.billing import PlanPrice, PriceKind, PriceScheme
from core.models.stripe import StripeObject
from core.models.usage import UsageKind
from tests.fake_stripe.account import Account
from tests.fake_stripe.catalogue import create_price, create_product
from tests.fake_stripe.failures import Failure
from tests.fake_stripe.lines import rate
from tests.fake_stripe.meters import create as create_meter


@pytest.fixture
def client(services, fake_stripe):
    return stripe_client()


def plan_price(**values):
    defaults = {
        "id": uuid4(),
        "plan_code": "starter",
        "kind": PriceKind.PREDICTION,
        "scheme": PriceScheme.FLAT,
        "unit_amount": Decimal("0.00003"),
        "included_quantity": 0,
        "tiers": None,
        "effective_from": now() + timedelta(days=1),
    }
    return PlanPrice(**{**defaults, **values})


def test_every_plan_and_usage_kind_is_made_and_running_again_makes_nothing(client, fake_stripe):
    report = sync_catalogue(client)
    account = fake_stripe.account
    meters = account.of("billing.meter")
    assert {meter["event_name"] for meter in meters} == {event_name(kind) for kind in UsageKind}
    assert len(account.of("product")) == len(account.of("price")) == 4 * len(UsageKind)
    assert len(report.made) == len(UsageKind) + 2 * 4 * len(UsageKind) + 1
    with operator_session("test") as session:
        assert get_stripe_id(session, StripeType.METER, UsageKind.PREDICTION) in account.objects
        with pytest.raises(NotAtStripe, match="flask billing sync"):
            get_stripe_id(session, StripeType.PRICE, str(uuid4()))

    before = len(fake_stripe.requests)
    again = sync_catalogue(client)
    assert again.made == []
    assert again.kept == len(report.made)
    assert all(request.method == "get" for request in fake_stripe.requests[before:])


def test_a_run_that_died_is_taken_up_without_making_anything_twice(client, fake_stripe):
    fake_stripe.failures.plan(Failure.TIMEOUT_AFTER, "/v1/prices")
    with pytest.raises(StripeUnavailable):
        sync_catalogue(client)
    sync_catalogue(client)
    with operator_session("test") as session:
        session.execute(delete(StripeObject))
        session.commit()
    report = sync_catalogue(client)
    assert len(report.made) == len(UsageKind) + 2 * 4 * len(UsageKind) + 1
    account = fake_stripe.account
    assert len(account.of("billing.meter")) == len(UsageKind)
    assert len(account.of("price")) == len(account.of("product")) == 4 * len(UsageKind)
    assert len(account.of("billing_portal.configuration")) == 1


def test_a_new_version_of_a_price_adds_a_price_and_leaves_the_old_one(client, fake_stripe):
    sync_catalogue(client)
    before = {price["id"]: dict(price) for price in fake_stripe.account.of("price")}
    with operator_session("test") as session:
        later = plan_price(unit_amount=Decimal("0.00002"), included_quantity=500)
        session.add(later)
        session.commit()
    report = sync_catalogue(client)
    assert report.made == [f"price {later.id}"]
    prices = {price["id"]: price for price in fake_stripe.account.of("price")}
    assert {key: prices[key] for key in before} == before
    (new,) = prices.keys() - before.keys()
    assert [tier["up_to"] for tier in prices[new]["_tiers"]] == [500, None]
    assert prices[new]["_tiers"][1]["unit_amount_decimal"] == "0.00002"


def test_the_ids_of_another_account_are_refused(client, fake_stripe):
    sync_catalogue(client)
    fake_stripe.account.objects.clear()
    with pytest.raises(StripeRefused, match="another Stripe account"):
        sync_catalogue(client)


AMOUNTS = st.decimals(0, 5, places=12, allow_nan=False)


@st.composite
def prices(draw):
    """Prices of every scheme but volume with an included quantity, which Stripe does not have."""
    scheme = draw(st.sampled_from(PriceScheme))
    included = 0 if scheme is PriceScheme.VOLUME else draw(st.sampled_from([0, 1, 100]))
    if scheme is PriceScheme.FLAT:
        return plan_price(unit_amount=draw(AMOUNTS), included_quantity=included)
    bounds = sorted(draw(st.sets(st.integers(1, 300), max_size=3)))
    tiers = [
        {"up_to": bound, "unit_amount": str(draw(AMOUNTS)), "flat_amount": str(draw(st.integers(0, 9)))}
        for bound in [*bounds, None]
    ]
    return plan_price(scheme=scheme, included_quantity=included, tiers=tiers, unit_amount=Decimal(0))


def exact_cost(price, quantity):
    """What a quantity costs before any rounding, unit by unit."""
    total, entered = Decimal(0), set()
    billable = max(0, quantity - price.included_quantity)
    for number in range(1, billable + 1):
        place = billable if price.scheme is PriceScheme.VOLUME else number
        if price.scheme is PriceScheme.FLAT:
            total += price.unit_amount
            continue
        index, tier = next(
            (index, tier)
            for index, tier in enumerate(price.tiers)
            if tier["up_to"] is None or place <= tier["up_to"]
        )
        total += Decimal(tier["unit_amount"])
        if index not in entered:
            entered.add(index)
            total += Decimal(tier["flat_amount"])
    return total


@settings(deadline=None)  # the first example reads the OpenAPI file
@given(price=prices(), quantity=st.integers(1, 500))
def test_stripe_charges_what_the_price_says(price, quantity):
    account = Account()
    product = create_product(account, {"name": "Tokens"})
    meter = create_meter(
        account, {"display_name": "T", "event_name": "t", "default_aggregation": {"formula": "sum"}}
    )
    made = create_price(account, price_params(price, "USD", product["id"], meter["id"]))
    lines = rate(made, quantity, "Tokens")
    # Each line is rounded for itself, by half a cent at most.
    assert abs(sum(line.amount for line in lines) - exact_cost(price, quantity)) <= Decimal(len(lines)) / 2


def test_the_command_says_what_it_made(services, portal, fake_stripe):
    first = portal.test_cli_runner().invoke(args=["billing", "sync"])
    assert first.exit_code == 0, first.output
    assert "meter prediction" in json.loads(first.output)["made"]
    again = json.loads(portal.test_cli_runner().invoke(args=["billing", "sync"]).output)
    assert again == {"made": [], "kept": len(json.loads(first.output)["made"])}


def test_the_command_says_what_to_do(portal, fake_stripe, monkeypatch):
    fake_stripe.failures.plan(Failure.BROKEN, times=100)
    broken = portal.test_cli_runner().invoke(args=["billing", "sync"])
    assert broken.exit_code == 1
    assert "run it again" in broken.output
    monkeypatch.delenv("STRIPE_SECRET_KEY")
    get_settings.cache_clear()
    without = portal.test_cli_runner().invoke(args=["billing", "sync"])
    assert "Set STRIPE_SECRET_KEY" in without.output
