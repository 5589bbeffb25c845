"""Which events of Stripe's matter, and what they make us look at. What an event says itself is never believed."""

from datetime import datetime

from billing.stripe import checkout, drafts, meter_errors, mirror, subscriptions
from billing.stripe.checkout import CheckoutOpen, UnknownCheckout
from billing.stripe.client import StripeClient
from billing.stripe.following import STRIPE

WATCHED = (
    "checkout.session.completed",
    "customer.deleted",
    "customer.updated",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.updated",
    "invoice.voided",
)
"""What a webhook endpoint is to be told, besides the meters' events below."""

METER_EVENTS = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")


def handle(
    client: StripeClient, kind: str, event_id: str, object_id: str | None, at: datetime | None = None
) -> None:
    """Fetch what an event is about, and bring our side to where it is.

    Raises StripeUnavailable, after which it is to be handled again, StripeRefused and StripeMissing.
    """
    if kind in METER_EVENTS:
        meter_errors.take(client, event_id, at)
    elif kind not in WATCHED or object_id is None:
        return
    elif kind.startswith("invoice."):
        if mirror.fetch_invoice(client, object_id, at):
            drafts.advance(client, object_id, at)
    elif kind.startswith("customer.subscription."):
        subscriptions.refresh(client, object_id, at)
    elif kind.startswith("checkout."):
        _finish_checkout(client, object_id, at)
    else:
        checkout.refresh_card(client, object_id, STRIPE)


def _finish_checkout(client: StripeClient, checkout_id: str, at: datetime | None) -> None:
    """For the person who gave a card and never came back to our page."""
    try:
        tenant_id = checkout.finish_checkout(client, checkout_id, STRIPE)
    except (UnknownCheckout, CheckoutOpen):
        return
    subscriptions.start(client, tenant_id, at)
