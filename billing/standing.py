"""A tenant's standing: whether its payments have come, and whether its keys are refused until they do.

A payment is missing since Stripe could not take it, or since a bank transfer's due day was over. After the plan's days of
grace the tenant's keys are refused; the portal stays open, so that it can pay.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.notifications import Event, notify
from billing.plans import current_plan
from billing.settlement import settlements
from core.clock import now
from core.config import get_settings
from core.models.billing import Collection, Invoice, InvoiceStatus
from core.models.stripe import StripeInvoice
from core.models.tenants import Tenant

log = structlog.get_logger(__name__)

_ISSUED = (InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE)

REFUSAL = (
    "A payment is missing, so this tenant's API keys are refused. Pay on the portal's page 'Invoices': they work again "
    "within a minute."
)


class PaymentRequired(Exception):
    """The tenant is suspended until it has paid; the message says what to do."""


@dataclass(frozen=True)
class Standing:
    """`past_due_since` is when the oldest missing payment failed or was due, `suspends_at` when grace for it ends."""

    past_due_since: datetime | None
    suspends_at: datetime | None
    suspended_at: datetime | None


def refresh(session: Session, tenant_id: UUID, at: datetime | None = None) -> Standing:
    """Read from the invoices how the tenant stands, write it down, and tell its people of a change.

    Wants an operator session, which the caller commits.
    """
    at = at or now()
    session.flush()
    tenant = session.get_one(Tenant, tenant_id, with_for_update=True, populate_existing=True)
    since = min(_missing_since(session, tenant_id, at), default=None)
    was_suspended_at = tenant.payment_suspended_at
    suspends_at = since and since + timedelta(days=current_plan(session, tenant_id, at).grace_days)
    is_suspended = suspends_at is not None and suspends_at <= at
    tenant.past_due_since = since
    tenant.payment_suspended_at = (was_suspended_at or at) if is_suspended else None
    standing = Standing(since, suspends_at, tenant.payment_suspended_at)
    if was_suspended_at is not None and not is_suspended:
        _tell_reinstated(session, tenant_id, was_suspended_at)
    if standing.suspended_at is not None:
        _tell_suspended(session, tenant_id, standing.suspended_at)
    elif since is not None and suspends_at is not None:
        _tell_past_due(session, tenant_id, since, suspends_at)
    return standing


def refresh_due(session: Session, at: datetime | None = None) -> None:
    """Refresh every tenant whose standing may have changed with time. Wants an operator session; commits each tenant."""
    at = at or now()
    missing = select(Invoice.tenant_id).where(Invoice.status.in_(_ISSUED), Invoice.due_at < at)
    failed = select(StripeInvoice.tenant_id).where(StripeInvoice.payment_failed_at.is_not(None))
    noted = Tenant.past_due_since.is_not(None) | Tenant.payment_suspended_at.is_not(None)
    tenants = session.scalars(
        select(Tenant.id).where(Tenant.id.in_(missing) | Tenant.id.in_(failed) | noted).order_by(Tenant.id)
    ).all()
    for tenant_id in tenants:
        try:
            refresh(session, tenant_id, at)
            session.commit()
        except Exception:
            # What is wrong with one tenant must not keep the others suspended, or going on.
            session.rollback()
            log.exception("standing_failed", tenant_id=str(tenant_id))


def standing_of(session: Session, tenant: Tenant) -> Standing:
    """How the tenant stands as it is written down."""
    since = tenant.past_due_since
    grace = timedelta(days=current_plan(session, tenant.id).grace_days)
    return Standing(since, since and since + grace, tenant.payment_suspended_at)


def require_payment(session: Session, tenant_id: UUID) -> None:
    """Raise PaymentRequired where the tenant is suspended until it has paid."""
    suspended_at = session.scalar(select(Tenant.payment_suspended_at).where(Tenant.id == tenant_id))
    if suspended_at is not None:
        raise PaymentRequired(REFUSAL)


def _missing_since(session: Session, tenant_id: UUID, at: datetime) -> Iterator[datetime]:
    """Since when each of the tenant's payments is missing."""
    rows = session.execute(
        select(Invoice, StripeInvoice.payment_failed_at)
        .outerjoin(
            StripeInvoice,
            (StripeInvoice.tenant_id == Invoice.tenant_id) & (StripeInvoice.invoice_id == Invoice.id),
        )
        .where(Invoice.tenant_id == tenant_id, Invoice.status.in_(_ISSUED))
    ).all()
    settled = settlements(session, [invoice for invoice, _ in rows])
    for invoice, failed_at in rows:
        if settled[invoice.id].to_pay_cents <= 0:
            continue
        if failed_at is not None:
            yield failed_at
        elif invoice.collection is Collection.BANK_TRANSFER and invoice.due_at and invoice.due_at < at:
            yield invoice.due_at


def _tell_past_due(session: Session, tenant_id: UUID, since: datetime, suspends_at: datetime) -> None:
    notify(
        session,
        tenant_id,
        Event.PAST_DUE,
        f"past-due:{since.isoformat()}",
        subject="A payment is missing",
        body=(
            f"A payment is missing since {since:%Y-%m-%d}. If it has not come by {suspends_at:%Y-%m-%d %H:%M} UTC, your "
            f"API keys are refused until it has.\n\n{_invoices_page()}\n"
        ),
        payload={"past_due_since": since.isoformat(), "suspends_at": suspends_at.isoformat()},
    )


def _tell_suspended(session: Session, tenant_id: UUID, suspended_at: datetime) -> None:
    notify(
        session,
        tenant_id,
        Event.SUSPENDED,
        f"suspended:{suspended_at.isoformat()}",
        subject="Your API keys are refused until a payment comes",
        body=(
            "A payment is still missing after the days of grace, so your API keys are refused, and fine-tunes cannot be "
            f"launched. Both work again within a minute of the payment.\n\n{_invoices_page()}\n"
        ),
        payload={"suspended_at": suspended_at.isoformat()},
    )


def _tell_reinstated(session: Session, tenant_id: UUID, suspended_at: datetime) -> None:
    notify(
        session,
        tenant_id,
        Event.REINSTATED,
        f"reinstated:{suspended_at.isoformat()}",
        subject="Your API keys work again",
        body="The payment has come, and your API keys work again. Thank you.\n",
        payload={"suspended_at": suspended_at.isoformat()},
    )


def _invoices_page() -> str:
    return f"{get_settings().portal_url}/invoices"
