"""How invoices are paid: the seam for payment providers, and bank transfer, which needs none.

The ledger makes the invoices whatever the provider; a provider only collects. Bank transfer is built in: the
invoice says where to pay, and finance records what has come, be it a part of it. Stripe's payments are recorded as it
tells of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import standing
from billing.invoices import (
    InvoiceStateError,
    lock_invoice,
    note_change,
    require_status,
    to_pay_cents,
)
from billing.money import money
from billing.periods import Month
from core.clock import now
from core.config import Settings, get_settings
from core.models.billing import Collection, Invoice, InvoiceStatus
from core.models.payments import Payment
from core.models.stripe import StripeCustomer
from core.tenancy import Actor

REFERENCE_LENGTH = 120


@dataclass(frozen=True)
class PaymentInstructions:
    """What an invoice tells its reader about paying: a title, and pairs of label and value."""

    title: str
    details: tuple[tuple[str, str], ...]


class PaymentProvider(Protocol):
    """Collects what invoices ask for."""

    def instructions(self, invoice: Invoice) -> PaymentInstructions:
        """How to pay an issued invoice."""


@dataclass(frozen=True)
class BankTransfer:
    """Payment by bank transfer with the invoice's number as the reference."""

    payee: str
    account: str

    def instructions(self, invoice: Invoice) -> PaymentInstructions:
        details = [("Payee", self.payee), ("Account", self.account), ("Reference", invoice.number or "")]
        return PaymentInstructions("Pay by bank transfer", tuple(pair for pair in details if pair[1]))


def payment_provider(settings: Settings | None = None) -> PaymentProvider:
    """The provider that this deployment collects through."""
    settings = settings or get_settings()
    return BankTransfer(settings.seller_name, settings.seller_bank_account)


def collects_with_stripe(session: Session, tenant_id: UUID, month: Month) -> bool:
    """Whether Stripe collects a tenant's invoice for a month."""
    return month_collectors(session, month, tenant_id) == {tenant_id}


def month_collectors(session: Session, month: Month, *tenant_ids: UUID) -> set[UUID]:
    """Of these tenants, or of all that the session sees, those whose invoice for a month Stripe collects."""
    query = select(StripeCustomer.tenant_id).where(
        StripeCustomer.subscription_id.is_not(None), StripeCustomer.collects_from <= month.days[0]
    )
    if tenant_ids:
        query = query.where(StripeCustomer.tenant_id.in_(tenant_ids))
    return set(session.scalars(query))


def record_payment(
    session: Session,
    actor: Actor,
    invoice_id: UUID,
    amount_cents: int,
    reference: str,
    paid_at: datetime | None = None,
    collection: Collection = Collection.BANK_TRANSFER,
) -> Invoice:
    """Note money that came for an invoice, which is paid once nothing is left to pay. The caller commits.

    One that was given up as uncollectible can still be paid. Recording a payment again by its reference does
    nothing. Wants an operator session. Raises InvoiceNotFound; InvoiceStateError for an invoice that nothing is
    owed for, an amount that is not positive or more than is left to pay, a reference that is empty, too long or
    another payment's, and a time before the invoice was issued or in the future.
    """
    reference, paid_at = reference.strip(), paid_at or now()
    if not 1 <= len(reference) <= REFERENCE_LENGTH:
        raise InvoiceStateError(f"Give the payment's reference, in 1 to {REFERENCE_LENGTH} characters.")
    invoice = lock_invoice(session, invoice_id)
    known = _find_payment(session, invoice, reference)
    if known is not None:
        if known.amount_cents != amount_cents:
            recorded = money(known.amount_cents, known.currency)
            raise InvoiceStateError(f"A payment of {recorded} with this reference is recorded already.")
        return invoice
    require_status(invoice, InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE)
    left = to_pay_cents(session, invoice)
    _check(invoice, amount_cents, left, paid_at)
    session.add(
        Payment(
            tenant_id=invoice.tenant_id,
            invoice_id=invoice.id,
            collection=collection,
            amount_cents=amount_cents,
            currency=invoice.currency,
            reference=reference,
            paid_at=paid_at,
            recorded_by=actor.label,
            created_at=now(),  # and not when the transaction began, which may have waited for the invoice since
        )
    )
    if amount_cents == left:
        settle(session, invoice, actor, reference, paid_at)
    session.flush()
    action = "invoice.paid" if invoice.status is InvoiceStatus.PAID else "invoice.paid_in_part"
    detail = {"amount_cents": amount_cents, "reference": reference, "paid_on": f"{paid_at:%Y-%m-%d}"}
    note_change(session, actor, action, invoice, detail)
    return invoice


def settle(session: Session, invoice: Invoice, actor: Actor, reference: str, at: datetime) -> None:
    """Mark an invoice as paid, since nothing is left to pay; `reference` is what paid the last of it.

    A tenant that was suspended for it is let in again with the transaction.
    """
    invoice.status, invoice.paid_at = InvoiceStatus.PAID, at
    invoice.payment_reference, invoice.marked_by = reference, actor.label
    standing.refresh(session, invoice.tenant_id)


def list_payments(session: Session, invoice: Invoice) -> Sequence[Payment]:
    """What was paid for an invoice, and paid back, in the order in which it was recorded."""
    return session.scalars(
        select(Payment)
        .where(Payment.tenant_id == invoice.tenant_id, Payment.invoice_id == invoice.id)
        .order_by(Payment.created_at, Payment.paid_at, Payment.id)
    ).all()


def _find_payment(session: Session, invoice: Invoice, reference: str) -> Payment | None:
    return session.scalar(
        select(Payment).where(
            Payment.tenant_id == invoice.tenant_id,
            Payment.invoice_id == invoice.id,
            Payment.reference == reference,
        )
    )


def _check(invoice: Invoice, amount_cents: int, left: int, paid_at: datetime) -> None:
    if amount_cents <= 0:
        raise InvoiceStateError("Give an amount of at least one cent.")
    if amount_cents > left:
        raise InvoiceStateError(
            f"No more than {money(left, invoice.currency)} is left to pay: record that much here, "
            "and the rest as prepaid credit of the tenant."
        )
    if paid_at > now():
        raise InvoiceStateError("A payment cannot be dated in the future.")
    if invoice.issued_at is not None and paid_at.date() < invoice.issued_at.date():
        raise InvoiceStateError(f"It cannot be paid before {invoice.issued_at:%Y-%m-%d}, when it was issued.")
