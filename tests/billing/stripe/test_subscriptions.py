"""A tenant's subscription at Stripe: one, with the prices in force, from the card's first day on."""

from datetime import timedelta

import pytest

from billing.plans import subscribe
from billing.stripe import subscriptions
from billing.stripe.catalogue_sync import StripeType, get_stripe_id
from billing.stripe.client import StripeUnavailable
from billing.terms import load_terms
from core.db import operator_session
from core.models.usage import UsageKind
from tests.billing.months import FEBRUARY, JANUARY, on
from tests.billing.stripe.collecting import customer_of
from tests.fake_stripe.failures import Failure


def prices_at_stripe(stripe, tenant):
    subscription = stripe.client.get(f"/v1/subscriptions/{customer_of(tenant.id).subscription_id}")
    return {item["price"]["id"] for item in subscription["items"]["data"]}


def prices_of_plan(tenant, code, at):
    with operator_session("test") as session:
        prices = [
            price
            for price in load_terms(session, tenant.id).prices
            if price.plan_code == code and price.kind in list(UsageKind) and price.effective_from <= at
        ]
        return {get_stripe_id(session, StripeType.PRICE, str(price.id)) for price in prices}


def test_it_has_every_kinds_price_and_turns_with_the_month(stripe):
    tenant = stripe.subscribe("starter")
    customer = customer_of(tenant.id)
    subscription = stripe.client.get(f"/v1/subscriptions/{customer.subscription_id}")
    assert subscription["billing_cycle_anchor"] == int(JANUARY.end.timestamp())
    assert prices_at_stripe(stripe, tenant) == prices_of_plan(tenant, "starter", stripe.at)
    assert customer.collects_from == JANUARY.days[0]
    assert customer.counted_from == dict.fromkeys(UsageKind, on(10).isoformat())


def test_starting_again_changes_nothing(stripe):
    tenant = stripe.subscribe()
    subscriptions.start(stripe.client, tenant.id, stripe.at)
    assert len(stripe.fake.account.of("subscription")) == 1


@pytest.mark.parametrize("failure", Failure)
def test_one_that_failed_is_made_later_and_once(stripe, failure):
    stripe.fake.failures.plan(failure, "/v1/subscriptions")
    with pytest.raises(StripeUnavailable):
        stripe.subscribe()
    stripe.travel(stripe.at + timedelta(minutes=1))
    subscriptions.start_missing(stripe.client, stripe.at)
    subscriptions.start_missing(stripe.client, stripe.at)
    assert len(stripe.fake.account.of("subscription")) == 1


def test_another_plan_has_its_prices_swapped_at_the_next_turn(stripe):
    tenant = stripe.subscribe("starter")
    with operator_session("test") as session:
        subscribe(session, tenant.id, "scale", on(20))
        session.commit()
    stripe.travel(on(21))
    subscriptions.align_all(stripe.client, stripe.at)
    assert prices_at_stripe(stripe, tenant) == prices_of_plan(tenant, "starter", stripe.at)

    stripe.turn(JANUARY)
    subscriptions.align_all(stripe.client, stripe.at)
    assert prices_at_stripe(stripe, tenant) == prices_of_plan(tenant, "scale", stripe.at)
    customer = customer_of(tenant.id)
    assert customer.plan_code == "scale"
    assert customer.counted_from == dict.fromkeys(UsageKind, stripe.at.isoformat())


def test_prices_wait_while_the_month_before_is_not_compared(stripe):
    tenant = stripe.subscribe("starter")
    with operator_session("test") as session:
        subscribe(session, tenant.id, "scale", on(20))
        session.commit()
    stripe.travel(FEBRUARY.start + timedelta(minutes=10))
    subscriptions.align_all(stripe.client, stripe.at)
    assert prices_at_stripe(stripe, tenant) == prices_of_plan(tenant, "starter", stripe.at)


def test_one_that_ended_collects_no_more(stripe):
    tenant = stripe.subscribe()
    stripe.client.delete(f"/v1/subscriptions/{customer_of(tenant.id).subscription_id}")
    stripe.handle()
    customer = customer_of(tenant.id)
    assert (customer.subscription_id, customer.subscription_status) == (None, "canceled")
    subscriptions.start_missing(stripe.client, stripe.at)
    assert customer_of(tenant.id).subscription_id is None
