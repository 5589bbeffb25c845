"""Finance's queue: invoices of Stripe's that are held, drafts that Stripe has none for, and what may be done about them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from billing.invoices import lock_invoice
from billing.issuing import issue
from billing.stripe import drafts, mirror
from billing.stripe.client import StripeClient
from billing.stripe.following import release
from billing.stripe.locks import hold_object
from core import audit
from core.clock import now
from core.db import operator_session
from core.models.billing import Collection, Invoice, InvoiceStatus
from core.models.stripe import StripeInvoice
from core.models.tenants import Tenant
from core.tenancy import Actor

PATIENCE = timedelta(days=2)
"""After which a draft that Stripe has no invoice for is shown: its subscription may have ended."""

REASON_LENGTH = 300


class NotHeld(LookupError):
    """No invoice of Stripe's that is held has that id."""


class ReviewError(Exception):
    """It cannot be done now; the message says why, and is fit to show."""


@dataclass(frozen=True)
class Held:
    """An invoice of Stripe's that waits for finance, ours where there is one, and whose it is."""

    stripe_invoice: StripeInvoice
    invoice: Invoice | None
    tenant: Tenant


def list_held(session: Session) -> list[Held]:
    """What is held, the longest first. Wants an operator session."""
    rows = session.execute(
        select(StripeInvoice, Invoice, Tenant)
        .join(Tenant, Tenant.id == StripeInvoice.tenant_id)
        .outerjoin(Invoice, Invoice.id == StripeInvoice.invoice_id)
        .where(StripeInvoice.held_at.is_not(None))
        .order_by(StripeInvoice.held_at)
    )
    return [Held(mirrored, invoice, tenant) for mirrored, invoice, tenant in rows]


def list_without_stripe(session: Session, at: datetime | None = None) -> list[tuple[Invoice, Tenant]]:
    """Drafts for Stripe to collect of which it has no invoice days after their month. Wants an operator session."""
    mirrored = exists().where(StripeInvoice.invoice_id == Invoice.id)
    rows = session.execute(
        select(Invoice, Tenant)
        .join(Tenant, Tenant.id == Invoice.tenant_id)
        .where(
            Invoice.status == InvoiceStatus.DRAFT,
            Invoice.collection == Collection.STRIPE,
            Invoice.period_end < (at or now()) - PATIENCE,
            ~mirrored,
        )
        .order_by(Invoice.period_start)
    )
    return [(invoice, tenant) for invoice, tenant in rows]


def recheck(client: StripeClient, actor: Actor, row_id: UUID, at: datetime | None = None) -> StripeInvoice:
    """Fetch a held invoice and compare it once more; it is held again where it still differs.

    Raises NotHeld, StripeUnavailable.
    """
    with operator_session("check a tenant's held invoice again") as session:
        row = _release(session, actor, row_id, "stripe_invoice.rechecked", {})
        session.commit()
    return _go_on(client, row, at)


def accept(
    client: StripeClient, actor: Actor, row_id: UUID, reason: str, at: datetime | None = None
) -> StripeInvoice:
    """Make up what a held invoice differs by, for a reason: a draft gets items that bring each line to the ledger's.

    One that is finalised stays as it is, and ours is issued. Raises NotHeld, ReviewError without a reason,
    StripeUnavailable.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= REASON_LENGTH:
        raise ReviewError(f"Say why the difference is right, in 1 to {REASON_LENGTH} characters.")
    at = at or now()
    with operator_session("accept what a tenant's held invoice differs by") as session:
        row = _release(session, actor, row_id, "stripe_invoice.accepted", {"reason": reason})
        if row.status == "draft":
            drafts.make_up(client, session, row, reason, at)
        elif row.invoice_id is not None:
            invoice = lock_invoice(session, row.invoice_id)
            if invoice.status is InvoiceStatus.DRAFT:
                issue(session, invoice, at)
        session.commit()
    return _go_on(client, row, at)


def collect_by_transfer(
    session: Session, actor: Actor, invoice_id: UUID, at: datetime | None = None
) -> Invoice:
    """Issue a draft that Stripe has no invoice for as one to be paid by bank transfer. The caller commits.

    Wants an operator session. Raises InvoiceNotFound; ReviewError where Stripe has one.
    """
    invoice = lock_invoice(session, invoice_id)
    if invoice.status is not InvoiceStatus.DRAFT or mirror.find_invoice_of(session, invoice.id) is not None:
        raise ReviewError("Stripe has an invoice for it: settle it there.")
    invoice.collection = Collection.BANK_TRANSFER
    session.flush()
    issue(session, invoice, at or now(), actor)
    detail = {"number": invoice.number}
    audit.record_staff(session, actor, "invoice.by_transfer", Invoice.__tablename__, invoice.id, detail)
    return invoice


def _release(
    session: Session, actor: Actor, row_id: UUID, action: str, detail: dict[str, str]
) -> StripeInvoice:
    held = StripeInvoice.id == row_id, StripeInvoice.held_at.is_not(None)
    stripe_invoice_id = session.scalar(select(StripeInvoice.stripe_invoice_id).where(*held))
    if stripe_invoice_id is not None:
        hold_object(session, stripe_invoice_id)
    row = session.scalar(select(StripeInvoice).where(*held).with_for_update())
    if row is None:
        raise NotHeld(f"No held invoice has the id {row_id}.")
    detail = {"stripe_invoice": row.stripe_invoice_id, **detail}
    audit.record_staff(session, actor, action, StripeInvoice.__tablename__, row.id, detail)
    release(row, session.get(Invoice, row.invoice_id) if row.invoice_id else None)
    return row


def _go_on(client: StripeClient, row: StripeInvoice, at: datetime | None) -> StripeInvoice:
    mirror.fetch_invoice(client, row.stripe_invoice_id, at)
    drafts.advance(client, row.stripe_invoice_id, at)
    with operator_session("read a tenant's invoice at Stripe") as session:
        found = mirror.find_invoice(session, row.stripe_invoice_id)
        assert found is not None
        return found
