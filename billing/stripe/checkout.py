"""A tenant's card: given and changed on Stripe's pages, and known here by its brand and last digits only.

The mirror's rows are written by the operator's role alone, so that what a tenant's request may do is what stands here.
"""

import re
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from billing.stripe.catalogue_sync import PORTAL_KEY, StripeType, get_stripe_id
from billing.stripe.client import StripeClient
from billing.stripe.locks import hold_object
from core.audit import record_for_tenant
from core.clock import now
from core.db import operator_session
from core.models.stripe import StripeCustomer
from core.models.tenants import Tenant, TenantStatus
from core.tenancy import Actor

CHECKOUT_ID = "{CHECKOUT_SESSION_ID}"
"""What Stripe replaces by the session's id in the address that it sends people back to."""


_CHECKOUT = re.compile(r"cs_\w{1,250}", re.ASCII)


class UnknownCheckout(LookupError):
    """The checkout session is none of the tenant's."""


class CheckoutOpen(Exception):
    """The person has not given a card yet."""


def find_customer(session: Session, tenant_id: UUID) -> StripeCustomer | None:
    """The tenant at Stripe, where it is there already."""
    return session.scalar(select(StripeCustomer).where(StripeCustomer.tenant_id == tenant_id))


def ensure_customer(client: StripeClient, tenant_id: UUID, name: str, email: str) -> str:
    """The id of the tenant's customer at Stripe, made if there is none; Stripe writes to `email`.

    Raises StripeUnavailable or StripeRefused.
    """
    with operator_session("read the mirror of Stripe's customers") as session:
        customer = find_customer(session, tenant_id)
    if customer is not None:
        return customer.customer_id
    params = {"name": name, "email": email, "metadata": {"tenant_id": str(tenant_id)}}
    made = client.post("/v1/customers", params, key=f"customer-{tenant_id}")
    with operator_session("note a tenant's customer at Stripe") as session:
        session.execute(
            insert(StripeCustomer)
            .values(tenant_id=tenant_id, customer_id=made["id"], fetched_at=now())
            .on_conflict_do_nothing()
        )
        session.commit()
        return session.scalars(
            select(StripeCustomer.customer_id).where(StripeCustomer.tenant_id == tenant_id)
        ).one()


def checkout_url(
    client: StripeClient, customer_id: str, currency: str, *, success_url: str, cancel_url: str, key: str
) -> str:
    """The address of a page of Stripe's that asks for a card. `success_url` has CHECKOUT_ID in it.

    Raises StripeUnavailable or StripeRefused.
    """
    session = client.post(
        "/v1/checkout/sessions",
        {
            "mode": "setup",
            "customer": customer_id,
            "customer_update": {"address": "auto", "name": "auto"},
            "currency": currency.lower(),
            "billing_address_collection": "required",
            "tax_id_collection": {"enabled": True},
            "success_url": success_url,
            "cancel_url": cancel_url,
        },
        key=key,
    )
    return str(session["url"])


def finish_checkout(
    client: StripeClient, checkout_id: str, actor: Actor, tenant_id: UUID | None = None
) -> UUID:
    """Take the card of a finished checkout session as the tenant's default; again, it changes nothing.

    What the session came to is asked of Stripe: neither an address nor an event says it. Returns the tenant. Raises
    UnknownCheckout for a session of nobody's, or of another tenant than `tenant_id`; CheckoutOpen; and StripeUnavailable or
    StripeRefused.
    """
    if not _CHECKOUT.fullmatch(checkout_id):
        raise UnknownCheckout(checkout_id)  # it comes with an address, and goes into another one
    checkout = client.get(f"/v1/checkout/sessions/{checkout_id}", {"expand": ["setup_intent"]})
    with operator_session("find whose checkout it is") as session:
        customer = session.scalar(select(StripeCustomer).filter_by(customer_id=checkout["customer"]))
    if customer is None or tenant_id not in {None, customer.tenant_id}:
        raise UnknownCheckout(checkout_id)
    intent = checkout["setup_intent"]
    if checkout["status"] != "complete" or intent is None or intent["status"] != "succeeded":
        raise CheckoutOpen(checkout_id)
    client.post(
        f"/v1/customers/{customer.customer_id}",
        {"invoice_settings": {"default_payment_method": intent["payment_method"]}},
        key=f"default-card-{checkout_id}",
    )
    refresh_card(client, customer.customer_id, actor)
    return customer.tenant_id


def refresh_card(client: StripeClient, customer_id: str, actor: Actor) -> None:
    """Bring what we know of a customer's card up to what Stripe has. Raises StripeUnavailable or StripeRefused."""
    with operator_session("mirror a customer of Stripe's") as session:
        hold_object(session, customer_id)
        customer = session.scalar(
            select(StripeCustomer)
            .join(Tenant, Tenant.id == StripeCustomer.tenant_id)
            # What was destroyed does not come back.
            .where(StripeCustomer.customer_id == customer_id, Tenant.status != TenantStatus.DELETED)
        )
        if customer is None:
            return
        path = f"/v1/customers/{customer_id}"
        found = client.get(path, {"expand": ["invoice_settings.default_payment_method"]})
        card = _card_of(found)
        if card != customer.card:
            customer.card = card
            action, detail = ("card.changed", _shown(card)) if card else ("card.removed", {})
            record_for_tenant(session, customer.tenant_id, actor, action, customer, detail)
        customer.fetched_at = now()
        session.commit()


def _card_of(customer: dict[str, Any]) -> dict[str, Any] | None:
    """The default card of a customer, who may be deleted by now."""
    method = (customer.get("invoice_settings") or {}).get("default_payment_method")
    card = method and method["card"]
    return {name: card[name] for name in ("brand", "last4", "exp_month", "exp_year")} if card else None


def _shown(card: dict[str, Any]) -> dict[str, str]:
    return {"card": f"{card['brand']} ending in {card['last4']}"}


def portal_url(client: StripeClient, customer_id: str, *, return_url: str, key: str) -> str:
    """The address of Stripe's customer portal: cards, billing address, tax ids and receipts.

    Raises StripeUnavailable or StripeRefused, and NotAtStripe before the first `flask billing sync`.
    """
    with operator_session("read what of the catalogue is at Stripe") as session:
        configuration = get_stripe_id(session, StripeType.PORTAL, PORTAL_KEY)
    params = {"customer": customer_id, "configuration": configuration, "return_url": return_url}
    return str(client.post("/v1/billing_portal/sessions", params, key=key)["url"])
