"""What Stripe did about an invoice, done to ours: paid, partly paid, void, given up, or a card that was refused."""

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing import standing
from billing.cancelling import mark_uncollectible, void
from billing.credits import grant_credit
from billing.invoices import InvoiceStateError, lock_invoice
from billing.payments import record_payment
from billing.settlement import settlement_of
from billing.stripe.times import find_moment
from core.clock import now
from core.models.billing import Collection, Invoice, InvoiceStatus
from core.models.credit_grants import CreditGrant, CreditKind
from core.models.payments import Payment
from core.models.stripe import StripeInvoice
from core.tenancy import Actor, ActorKind

STRIPE = Actor(ActorKind.SYSTEM, None, "stripe")

FINALISED_EARLY = "Stripe finalised it before it was compared with the ledger."

log = structlog.get_logger(__name__)


def follow(session: Session, row: StripeInvoice, answer: dict[str, Any], at: datetime) -> None:
    """Bring our invoice to where Stripe's is; once there, it changes nothing.

    `row` is the mirror as it was just fetched, of which `answer` is all. The caller commits.
    """
    invoice = lock_invoice(session, row.invoice_id) if row.invoice_id else None
    if invoice is None or row.status == "draft":
        return
    if invoice.status is InvoiceStatus.DRAFT:
        hold(row, invoice, FINALISED_EARLY, at)
        return
    _take_payments(session, row, invoice, answer)
    if row.status == "void" and invoice.status is InvoiceStatus.OPEN:
        _give_up(session, row, invoice, at)
    if row.status == "uncollectible" and invoice.status is InvoiceStatus.OPEN:
        mark_uncollectible(session, STRIPE, invoice.id, "Given up at Stripe")
    standing.refresh(session, row.tenant_id, at)


def hold(row: StripeInvoice, invoice: Invoice | None, reason: str, at: datetime) -> None:
    """Keep an invoice until finance has looked at it."""
    row.held_at, row.held_reason = row.held_at or at, reason
    if invoice is not None and invoice.status is InvoiceStatus.DRAFT:
        invoice.held_reason = reason
    log.warning("stripe_invoice_held", stripe_invoice=row.stripe_invoice_id)


def release(row: StripeInvoice, invoice: Invoice | None) -> None:
    """Finance has looked at it."""
    row.held_at = row.held_reason = None
    if invoice is not None and invoice.status is InvoiceStatus.DRAFT:
        invoice.held_reason = None


def _give_up(session: Session, row: StripeInvoice, invoice: Invoice, at: datetime) -> None:
    try:
        void(session, STRIPE, invoice.id, "Void at Stripe")
    except InvoiceStateError as problem:
        hold(row, invoice, f"Void at Stripe, and not here: {problem}", at)


def _take_payments(session: Session, row: StripeInvoice, invoice: Invoice, answer: dict[str, Any]) -> None:
    """Record what came in beyond what was recorded: for this invoice, then for older ones, then as credit.

    Older ones are those below the least that a card is charged, which Stripe adds to the next charge.
    """
    outside = answer["amount_paid_off_stripe"] or 0
    by_card = answer["amount_paid"] - outside - _recorded(session, row)
    paid_at = _paid_at(answer, invoice)
    if by_card > 0:
        rest = by_card
        for owed in (invoice, *_older(session, invoice)):
            rest -= _pay(session, row, owed, rest, answer["amount_paid"], paid_at)
        if rest:
            reference = f"{row.stripe_invoice_id} {answer['amount_paid']}"
            grant_credit(
                session, STRIPE, row.tenant_id, CreditKind.PREPAID, rest, row.currency, reference, at=paid_at
            )
    elif outside:
        # Paid by another way, which staff noted at Stripe.
        _pay(session, row, invoice, outside, "outside", paid_at)


def _recorded(session: Session, row: StripeInvoice) -> int:
    """What was recorded of the card's payments for an invoice of Stripe's, in cents."""
    begins = f"{row.stripe_invoice_id} "
    paid = session.scalar(
        select(func.coalesce(func.sum(Payment.amount_cents), 0)).where(
            Payment.tenant_id == row.tenant_id,
            Payment.reference.startswith(begins, autoescape=True),
            Payment.reference != f"{begins}outside",
        )
    )
    credited = session.scalar(
        select(func.coalesce(func.sum(CreditGrant.amount_cents), 0)).where(
            CreditGrant.tenant_id == row.tenant_id,
            CreditGrant.kind == CreditKind.PREPAID,
            CreditGrant.reference.startswith(begins, autoescape=True),
        )
    )
    return int(paid or 0) + int(credited or 0)


def _pay(
    session: Session,
    row: StripeInvoice,
    invoice: Invoice,
    limit_cents: int,
    reference: object,
    paid_at: datetime,
) -> int:
    """Record a payment of what is left to pay of an invoice, up to a limit; returns the cents."""
    amount = min(limit_cents, settlement_of(session, invoice).to_pay_cents)
    if amount <= 0:
        return 0
    # Stripe's sum so far makes the reference of each payment its own, and the same whenever it is read.
    written = f"{row.stripe_invoice_id} {reference}"
    record_payment(session, STRIPE, invoice.id, amount, written, paid_at, Collection.STRIPE)
    return amount


def _older(session: Session, invoice: Invoice) -> list[Invoice]:
    """The tenant's earlier invoices that Stripe collects and that are not paid yet."""
    return list(
        session.scalars(
            select(Invoice)
            .where(
                Invoice.tenant_id == invoice.tenant_id,
                Invoice.collection == Collection.STRIPE,
                Invoice.status == InvoiceStatus.OPEN,
                Invoice.period_start < invoice.period_start,
                Invoice.currency == invoice.currency,
            )
            .order_by(Invoice.period_start)
        )
    )


def _paid_at(answer: dict[str, Any], invoice: Invoice) -> datetime:
    paid_at = find_moment(answer["status_transitions"]["paid_at"]) or now()
    # Clocks differ: no payment is before its invoice, or in the future.
    return min(max(paid_at, invoice.issued_at or paid_at), now())
