"""Promotion codes: the operator makes them in Stripe's dashboard, and a tenant gives one for its subscription.

What one takes off is on Stripe's invoice, and on ours as a credit that is drawn at once (`billing.stripe.drafts`).
"""

from typing import Any
from uuid import UUID

from billing.stripe.checkout import find_customer
from billing.stripe.client import StripeClient, StripeRefused
from core.audit import record_for_tenant
from core.db import operator_session
from core.models.stripe import StripeCustomer
from core.tenancy import Actor


class CodeRefused(Exception):
    """The code does not count for this tenant; the message says why, and is fit to show."""


def apply_code(client: StripeClient, tenant_id: UUID, code: str, actor: Actor) -> None:
    """Have a promotion code count for a tenant's invoices from the next one on, instead of any before it.

    Raises CodeRefused, and StripeUnavailable.
    """
    with operator_session("read the mirror of Stripe's customers") as session:
        customer = find_customer(session, tenant_id)
    if customer is None or customer.subscription_id is None:
        raise CodeRefused("Add a card first: a code counts for what is charged to it.")
    promotion = _find(client, code, customer)
    params = {"discounts": [{"promotion_code": promotion["id"]}]}
    key = f"promotion-{customer.subscription_id}-{promotion['id']}"
    try:
        client.post(f"/v1/subscriptions/{customer.subscription_id}", params, key=key)
    except StripeRefused as refusal:
        # Used up, over, or for first orders only: what Stripe checks only when it is given.
        raise CodeRefused(f"The code {promotion['code']} does not count for you.") from refusal
    with operator_session("note a tenant's promotion code in its log") as session:
        detail = {"code": promotion["code"]}
        record_for_tenant(session, tenant_id, actor, "promotion_code.applied", customer, detail)
        session.commit()


def _find(client: StripeClient, code: str, customer: StripeCustomer) -> dict[str, Any]:
    for promotion in client.each("/v1/promotion_codes", {"code": code, "active": True}):
        if promotion["customer"] in {None, customer.customer_id}:
            return promotion
    raise CodeRefused("There is no such code, or it is over.")
