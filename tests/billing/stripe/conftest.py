"""Stripe's stand-in at noon of a day in January, with our catalogue in it."""

import pytest

from billing.stripe.client import stripe_client
from tests.billing.months import on
from tests.billing.stripe.collecting import Collecting, begin


@pytest.fixture
def stripe(services, fake_stripe) -> Collecting:
    client = stripe_client()
    assert client is not None
    return begin(fake_stripe, client, on(10))
