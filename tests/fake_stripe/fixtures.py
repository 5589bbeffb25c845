"""A deployment that collects through Stripe, with the stand-in in Stripe's place."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from core.config import get_settings

if TYPE_CHECKING:
    from tests.fake_stripe.server import FakeStripe

API_KEY = "sk_test_" + "0" * 24
WEBHOOK_SECRET = "whsec_" + "0" * 32


@pytest.fixture
def fake_stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator["FakeStripe"]:
    """Stripe's stand-in, behind every client that this process makes during the test."""
    from tests.fake_stripe.server import FakeStripe

    fake = FakeStripe()
    monkeypatch.setattr("billing.stripe.client.make_http_client", lambda: fake)
    monkeypatch.setenv("STRIPE_SECRET_KEY", API_KEY)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
    get_settings.cache_clear()
    yield fake
    monkeypatch.undo()
    get_settings.cache_clear()
