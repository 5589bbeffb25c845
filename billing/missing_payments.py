"""Whose payments are missing, and which charges failed at Stripe, over all tenants."""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from billing.settlement import settlements
from billing.standing import Standing, standing_of
from core.models.billing import Invoice
from core.models.stripe import StripeInvoice
from core.models.tenants import Tenant


@dataclass(frozen=True)
class Missing:
    """A tenant whose payment is missing, and how it stands."""

    tenant: Tenant
    standing: Standing


class FailedCharge(NamedTuple):
    """A charge that Stripe could not make, for which something is left to pay, in cents."""

    stripe_invoice: StripeInvoice
    invoice: Invoice
    tenant: Tenant
    left_cents: int


def list_missing(session: Session) -> list[Missing]:
    """The tenants that are past due or suspended for it, the longest first. Wants an operator session."""
    tenants = session.scalars(
        select(Tenant)
        .where(or_(Tenant.past_due_since.is_not(None), Tenant.payment_suspended_at.is_not(None)))
        .order_by(Tenant.past_due_since, Tenant.name)
    )
    return [Missing(tenant, standing_of(session, tenant)) for tenant in tenants.all()]


def list_failed_charges(session: Session) -> list[FailedCharge]:
    """The charges that failed and were not paid since, the latest first. Wants an operator session."""
    rows = session.execute(
        select(StripeInvoice, Invoice, Tenant)
        .join(Invoice, Invoice.id == StripeInvoice.invoice_id)
        .join(Tenant, Tenant.id == StripeInvoice.tenant_id)
        .where(StripeInvoice.payment_failed_at.is_not(None))
        .order_by(StripeInvoice.payment_failed_at.desc())
    ).all()
    settled = settlements(session, [invoice for _, invoice, _ in rows])
    charges = [FailedCharge(*row, settled[row[1].id].to_pay_cents) for row in rows]
    return [charge for charge in charges if charge.left_cents > 0]
