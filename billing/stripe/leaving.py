"""Tenants that were destroyed: Stripe collects their last month, and then deletes what it knows of them, too."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.stripe.client import StripeClient, StripeMissing
from billing.stripe.problems import survived
from core.clock import now
from core.db import operator_session
from core.models.billing import ClosedMonth
from core.models.stripe import StripeCustomer, StripeInvoice
from core.models.tenants import TenantDeletion

log = structlog.get_logger(__name__)


def end_all(client: StripeClient, at: datetime | None = None) -> None:
    """Delete the customers of destroyed tenants whose last month is collected; one that fails keeps no other."""
    with operator_session("find the destroyed tenants that are still customers of Stripe's") as session:
        rows = session.execute(
            select(StripeCustomer, TenantDeletion.destroyed_at)
            .join(TenantDeletion, TenantDeletion.tenant_id == StripeCustomer.tenant_id)
            .where(StripeCustomer.deleted_at.is_(None))
            .order_by(TenantDeletion.destroyed_at)
        )
        ready = [
            customer
            for customer, destroyed_at in rows
            if destroyed_at is not None and not _is_owed(session, customer.tenant_id, destroyed_at)
        ]
    for customer in ready:
        with survived("stripe_customer_not_deleted", tenant=str(customer.tenant_id)):
            _delete(client, customer, at or now())


def _is_owed(session: Session, tenant_id: UUID, destroyed_at: datetime) -> bool:
    """Whether its last month is still to be invoiced, or something is still to be collected."""
    closed = exists().where(ClosedMonth.month == Month.containing(destroyed_at).days[0])
    collecting = exists().where(
        StripeInvoice.tenant_id == tenant_id, StripeInvoice.status.in_(("draft", "open"))
    )
    return bool(session.scalar(select(~closed | collecting)))


def _delete(client: StripeClient, customer: StripeCustomer, at: datetime) -> None:
    """Its subscription, cards, addresses and tax ids go with the customer; its invoices stay, as ours do."""
    with suppress(StripeMissing):  # by an attempt before, or by hand
        client.delete(f"/v1/customers/{customer.customer_id}")
    with operator_session("note that a destroyed tenant is no customer of Stripe's") as session:
        session.get_one(StripeCustomer, customer.id).deleted_at = at
        session.commit()
    log.info("stripe_customer_deleted", tenant=str(customer.tenant_id))
