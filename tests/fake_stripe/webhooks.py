"""Webhooks as Stripe sends them: the body, and the signature over it."""

import json
import time

import stripe

from tests.fake_stripe.account import Object
from tests.fake_stripe.events import notification


def signed(event: Object, secret: str, at: int | None = None) -> tuple[bytes, str]:
    """The body of an event's webhook, and its `Stripe-Signature` header."""
    body = json.dumps(notification(event), indent=2)
    moment = int(time.time()) if at is None else at
    signature = stripe.WebhookSignature._compute_signature(f"{moment}.{body}", secret)
    return body.encode(), f"t={moment},v1={signature}"
