"""Our copy of Stripe's invoices: fetched under a lock, so that it only moves forward whatever order events come in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.stripe import following
from billing.stripe.client import StripeClient
from billing.stripe.locks import hold_object
from billing.stripe.times import find_moment, moment
from core.clock import now
from core.db import operator_session
from core.models.stripe import StripeCustomer, StripeInvoice
from core.models.tenants import Tenant, TenantStatus

_ORDER = {"draft": 0, "open": 1, "uncollectible": 2, "paid": 3, "void": 3}
"""How far an invoice of each status has come: one that was given up can still be paid or made void."""


def fetch_invoice(client: StripeClient, stripe_invoice_id: str, at: datetime | None = None) -> bool:
    """Bring the mirror of an invoice up to date, and ours with it; False for one that is no tenant's.

    Raises StripeUnavailable, StripeMissing.
    """
    at = at or now()
    with operator_session("mirror an invoice of Stripe's, of any tenant") as session:
        hold_object(session, stripe_invoice_id)
        answer = client.get(f"/v1/invoices/{stripe_invoice_id}")
        row = take(session, answer, at)
        if row is None:
            return False
        following.follow(session, row, answer, at)
        session.commit()
        return True


def take(session: Session, answer: dict[str, Any], at: datetime) -> StripeInvoice | None:
    """Write an invoice as it was just fetched under its lock; None for one that is no tenant's."""
    customer = session.scalar(select(StripeCustomer).where(StripeCustomer.customer_id == answer["customer"]))
    if customer is None:
        return None
    row = find_invoice(session, answer["id"])
    if row is None:
        row = StripeInvoice(tenant_id=customer.tenant_id, stripe_invoice_id=answer["id"], status="draft")
        session.add(row)
    elif _ORDER[answer["status"]] < _ORDER[row.status]:
        return row
    row.status, row.number, row.fetched_at = answer["status"], answer["number"], at
    row.currency = answer["currency"].upper()
    row.period_start, row.period_end = moment(answer["period_start"]), moment(answer["period_end"])
    row.total_cents, row.tax_cents = answer["total"], tax_cents(answer)
    row.amount_due_cents, row.amount_paid_cents = answer["amount_due"], answer["amount_paid"]
    row.attempt_count = answer["attempt_count"]
    row.next_payment_attempt = find_moment(answer["next_payment_attempt"])
    row.hosted_url = None if _is_destroyed(session, customer.tenant_id) else answer.get("hosted_invoice_url")
    row.payment_failed_at = _failed_at(answer)
    session.flush()
    return row


def _is_destroyed(session: Session, tenant_id: UUID) -> bool:
    """Whether the page of an invoice, which shows people's addresses, is none of ours to lead to any more."""
    return session.get_one(Tenant, tenant_id).status is TenantStatus.DELETED


def _failed_at(answer: dict[str, Any]) -> datetime | None:
    """When the card was first charged in vain: the first attempt is made when an invoice is finalised.

    It follows from the invoice alone, so that it does not depend on which event told of it.
    """
    is_owed = answer["status"] in {"open", "uncollectible"} and answer["amount_remaining"]
    if not is_owed or not answer["attempted"]:
        return None
    return find_moment(answer["status_transitions"]["finalized_at"])


def tax_cents(answer: dict[str, Any]) -> int:
    """The tax that Stripe added to an invoice."""
    return sum(tax["amount"] for tax in answer["total_taxes"] or () if tax["tax_behavior"] == "exclusive")


def find_invoice(session: Session, stripe_invoice_id: str) -> StripeInvoice | None:
    """The mirror of an invoice, as the database has it now."""
    return session.scalar(
        select(StripeInvoice)
        .where(StripeInvoice.stripe_invoice_id == stripe_invoice_id)
        .execution_options(populate_existing=True)
    )


def find_invoice_of(session: Session, invoice_id: UUID) -> StripeInvoice | None:
    """The mirror of the invoice of Stripe's that collects one of ours."""
    return session.scalar(select(StripeInvoice).where(StripeInvoice.invoice_id == invoice_id))


def unfinished(session: Session) -> Sequence[str]:
    """The ids of the invoices that Stripe may still change. Wants an operator session."""
    return session.scalars(
        select(StripeInvoice.stripe_invoice_id)
        .where(StripeInvoice.status.in_(("draft", "open", "uncollectible")))
        .order_by(StripeInvoice.period_start, StripeInvoice.stripe_invoice_id)
    ).all()


def unknown(session: Session, stripe_invoice_ids: Sequence[str]) -> list[str]:
    """Those of the invoices that have no mirror yet."""
    known = set(session.scalars(select(StripeInvoice.stripe_invoice_id)))
    return [one for one in stripe_invoice_ids if one not in known]
