"""The nightly sweep: what no event told us, since one can be lost on the way."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select

from billing.stripe import inbox, leaving, mirror, subscriptions
from billing.stripe.checkout import refresh_card
from billing.stripe.client import StripeClient, StripeMissing
from billing.stripe.following import STRIPE
from billing.stripe.handlers import METER_EVENTS, WATCHED
from core.clock import now
from core.db import operator_session
from core.models.stripe import StripeCustomer

LOOKING_BACK = timedelta(days=3)
"""For events; Stripe keeps them for thirty days."""

_INVOICES_BACK = timedelta(days=40)

log = structlog.get_logger(__name__)


def sweep(client: StripeClient, at: datetime | None = None) -> int:
    """Put into the inbox what events of the last days it lacks, fetch every customer's open ends anew, and delete
    the customers that are tenants no more.

    Returns how many events there were. Raises StripeUnavailable, after which it is to be run again.
    """
    at = at or now()
    found = _take_events(client, at)
    inbox.handle_due(client, at)
    _fetch_customers(client, at)
    _fetch_invoices(client, at)
    leaving.end_all(client, at)
    log.info("stripe_swept", events=found)
    return found


def _take_events(client: StripeClient, at: datetime) -> int:
    since = at - LOOKING_BACK
    listed = client.each("/v1/events", {"types": WATCHED, "created": {"gte": int(since.timestamp())}})
    found = 0
    with operator_session("put events of Stripe's that no webhook brought into the inbox") as session:
        for event in (*listed, *_thin_events(client, since)):
            found += inbox.receive(session, inbox.parse(event), at) is not None
        inbox.forget(session, at)
        session.commit()
    return found


def _thin_events(client: StripeClient, since: datetime) -> Iterator[dict[str, Any]]:
    """The meters' events, whose list has pages by address."""
    page = client.get("/v2/core/events", {"types": METER_EVENTS, "created": {"gte": since.isoformat()}})
    yield from page["data"]
    while page["next_page_url"]:
        page = client.get(page["next_page_url"])
        yield from page["data"]


def _fetch_customers(client: StripeClient, at: datetime) -> None:
    with operator_session("find every tenant that is at Stripe") as session:
        customers = session.execute(
            select(StripeCustomer.customer_id, StripeCustomer.subscription_id).where(
                StripeCustomer.deleted_at.is_(None)
            )
        ).all()
    for customer_id, subscription_id in customers:
        try:
            refresh_card(client, customer_id, STRIPE)
            if subscription_id is not None:
                subscriptions.refresh(client, subscription_id, at)
        except StripeMissing:
            log.warning("stripe_customer_missing", customer=customer_id)


def _fetch_invoices(client: StripeClient, at: datetime) -> None:
    """Those that may have changed, and those that we have not heard of."""
    since = int((at - _INVOICES_BACK).timestamp())
    listed = [invoice["id"] for invoice in client.each("/v1/invoices", {"created": {"gte": since}})]
    with operator_session("find every tenant's invoices that Stripe may still change") as session:
        wanted = dict.fromkeys((*mirror.unfinished(session), *mirror.unknown(session, listed)))
    for stripe_invoice_id in wanted:
        try:
            mirror.fetch_invoice(client, stripe_invoice_id, at)
        except StripeMissing:
            log.warning("stripe_invoice_missing", stripe_invoice=stripe_invoice_id)
