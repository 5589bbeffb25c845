"""A tenant's subscription at Stripe: an item for each kind of usage, billed at the turn of each UTC month."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.plans import DEFAULT_PLAN_CODE
from billing.schedule import plan_at, price_at
from billing.stripe.catalogue_sync import NotAtStripe, StripeType, get_stripe_id, sync_catalogue
from billing.stripe.client import StripeClient
from billing.stripe.locks import held, hold_object
from billing.stripe.problems import survived
from billing.stripe.times import moment
from billing.terms import load_terms
from core import audit
from core.clock import now
from core.config import get_settings
from core.db import operator_session
from core.models.stripe import StripeCustomer, StripeInvoice
from core.models.usage import UsageKind
from core.tenancy import Actor, ActorKind

SWAPPING = timedelta(days=3)
"""How long into a month a price is swapped. Stripe does not count what was used before a swap, and later there is more
of it: until the next turn the month's invoice has an item for what the prices differ."""

_ENDED = frozenset({"canceled", "incomplete_expired"})
_BILLING = Actor(ActorKind.SYSTEM, None, "billing")

log = structlog.get_logger(__name__)


def start(client: StripeClient, tenant_id: UUID, at: datetime | None = None) -> None:
    """Subscribe a tenant that is a customer of Stripe's with a card; one that has a subscription keeps it.

    Stripe collects from the running month on. Raises StripeUnavailable or StripeRefused.
    """
    at = at or now()
    with held(f"subscription:{tenant_id}") as is_held:
        if not is_held:
            return
        with operator_session("read what a tenant's subscription at Stripe has to be") as session:
            customer = _customer(session, tenant_id)
            if customer.subscription_id is not None:
                return
        plan_code, prices = _wanted(client, tenant_id, at)
        subscription = _find(client, customer.customer_id) or _make(
            client, customer, prices, Month.containing(at)
        )
        _keep(tenant_id, plan_code, subscription)


def start_missing(client: StripeClient, at: datetime | None = None) -> None:
    """Subscribe those whose card was saved while Stripe did not answer; one that fails keeps no other."""
    with operator_session("find the tenants with a card and no subscription") as session:
        tenants = session.scalars(
            select(StripeCustomer.tenant_id).where(
                StripeCustomer.card.is_not(None), StripeCustomer.subscription_status.is_(None)
            )
        ).all()
    for tenant_id in tenants:
        with survived("stripe_subscription_not_started", tenant=str(tenant_id)):
            start(client, tenant_id, at)


def _find(client: StripeClient, customer_id: str) -> dict[str, Any] | None:
    """A subscription that an attempt made whose answer was lost."""
    return next(client.each("/v1/subscriptions", {"customer": customer_id}), None)


def _make(
    client: StripeClient, customer: StripeCustomer, prices: Mapping[UsageKind, str], month: Month
) -> dict[str, Any]:
    params = {
        "customer": customer.customer_id,
        "items": [{"price": price_id} for price_id in prices.values()],
        "billing_cycle_anchor": int(month.end.timestamp()),
        "proration_behavior": "none",
        "collection_method": "charge_automatically",
        "metadata": {"tenant_id": str(customer.tenant_id)},
    }
    if get_settings().stripe_automatic_tax:
        params["automatic_tax"] = {"enabled": True}
    # By its card, too: what was refused for one card is asked anew for the next.
    card = (customer.card or {}).get("last4", "")
    key = f"subscription-{customer.customer_id}-{month}-{card}-{customer.fetched_at:%Y%m%dT%H%M}"
    return client.post("/v1/subscriptions", params, key=key)


def _keep(tenant_id: UUID, plan_code: str, subscription: dict[str, Any]) -> None:
    begun = moment(subscription["start_date"])
    with operator_session("note a tenant's subscription at Stripe") as session:
        customer = _customer(session, tenant_id)
        customer.subscription_id = subscription["id"]
        customer.subscription_status = subscription["status"]
        customer.plan_code = plan_code
        customer.collects_from = Month.containing(begun).days[0]
        customer.counted_from = dict.fromkeys(UsageKind, begun.isoformat())
        detail = {"plan": plan_code}
        audit.record_for_tenant(session, tenant_id, _BILLING, "card_collection.started", customer, detail)
        session.commit()
    log.info("stripe_subscription_started", tenant=str(tenant_id))


def align_all(client: StripeClient, at: datetime | None = None) -> None:
    """Give every subscription the prices that are in force now, early in a month; one that fails keeps no other."""
    at = at or now()
    if at >= Month.containing(at).start + SWAPPING:
        return
    with operator_session("find the tenants that Stripe collects from") as session:
        waiting = select(StripeInvoice.tenant_id).where(StripeInvoice.status == "draft")
        # A draft that is still to be compared needs to know since when its own month was counted.
        tenants = session.scalars(
            select(StripeCustomer.tenant_id).where(
                StripeCustomer.subscription_id.is_not(None), StripeCustomer.tenant_id.not_in(waiting)
            )
        ).all()
    for tenant_id in tenants:
        with survived("stripe_subscription_not_aligned", tenant=str(tenant_id)):
            align(client, tenant_id, at)


def align(client: StripeClient, tenant_id: UUID, at: datetime) -> bool:
    """Swap what prices of a subscription are not those in force; whether there were any.

    Raises StripeUnavailable or StripeRefused.
    """
    plan_code, wanted = _wanted(client, tenant_id, at)
    with operator_session("swap the prices of a tenant's subscription at Stripe") as session:
        customer = _customer(session, tenant_id)
        if customer.subscription_id is None:
            return False
        hold_object(session, customer.subscription_id)
        path = f"/v1/subscriptions/{customer.subscription_id}"
        swaps = _swaps(client.get(path), wanted, _kinds(session, wanted))
        if not swaps:
            return False
        # Written before the call: should its outcome stay unknown, what is not reported is asked for by an item.
        swapped = {kind.value: at.isoformat() for kind in swaps}
        customer.counted_from, customer.plan_code = (customer.counted_from or {}) | swapped, plan_code
        session.commit()
    items = list(swaps.values())
    client.post(
        path, {"items": items, "proration_behavior": "none"}, key=f"swap-{tenant_id}-{at.isoformat()}"
    )
    log.info("stripe_subscription_aligned", tenant=str(tenant_id), prices=len(items))
    return True


def _swaps(
    subscription: dict[str, Any], wanted: Mapping[UsageKind, str], kinds: Mapping[str, UsageKind]
) -> dict[UsageKind, dict[str, str]]:
    """The items to change, by kind: which item, and its new price."""
    items = {kinds.get(item["price"]["recurring"]["meter"]): item for item in subscription["items"]["data"]}
    swaps: dict[UsageKind, dict[str, str]] = {}
    for kind, price_id in wanted.items():
        item = items.get(kind)
        if item is None:
            swaps[kind] = {"price": price_id}
        elif item["price"]["id"] != price_id:
            swaps[kind] = {"id": item["id"], "price": price_id}
    return swaps


def _kinds(session: Session, wanted: Mapping[UsageKind, str]) -> dict[str, UsageKind]:
    return {get_stripe_id(session, StripeType.METER, kind): kind for kind in wanted}


def _wanted(client: StripeClient, tenant_id: UUID, at: datetime) -> tuple[str, dict[UsageKind, str]]:
    """A tenant's plan, and the ids at Stripe of its prices in force; what is not there yet is made."""
    try:
        return _prices_in_force(tenant_id, at)
    except NotAtStripe:
        sync_catalogue(client)
        return _prices_in_force(tenant_id, at)


def _prices_in_force(tenant_id: UUID, at: datetime) -> tuple[str, dict[UsageKind, str]]:
    with operator_session("read which prices a tenant has") as session:
        terms = load_terms(session, tenant_id)
        plan_code = plan_at(at, terms.holdings, DEFAULT_PLAN_CODE)
        prices = {kind: price_at(at, plan_code, kind, terms.prices) for kind in UsageKind}
        return plan_code, {
            kind: get_stripe_id(session, StripeType.PRICE, str(price.id)) for kind, price in prices.items()
        }


def refresh(client: StripeClient, subscription_id: str, at: datetime | None = None) -> None:
    """Mirror a subscription's status; one that has ended collects no more. Raises StripeUnavailable, StripeMissing."""
    with operator_session("mirror a subscription of Stripe's, of any tenant") as session:
        hold_object(session, subscription_id)
        subscription = client.get(f"/v1/subscriptions/{subscription_id}")
        customer = session.scalar(
            select(StripeCustomer).where(StripeCustomer.subscription_id == subscription_id)
        )
        if customer is None:
            return
        customer.subscription_status, customer.fetched_at = subscription["status"], at or now()
        if subscription["status"] in _ENDED:
            customer.subscription_id = None
            audit.record_for_tenant(
                session, customer.tenant_id, _BILLING, "card_collection.ended", customer, {}
            )
        session.commit()


def _customer(session: Session, tenant_id: UUID) -> StripeCustomer:
    """Raises NoResultFound for a tenant that is no customer of Stripe's: `start` comes after its card."""
    return session.scalars(select(StripeCustomer).where(StripeCustomer.tenant_id == tenant_id)).one()
