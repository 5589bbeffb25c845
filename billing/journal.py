"""The journal: what happened to invoices, payments and credits as double-entry postings for the books.

It is derived from the documents and kept nowhere. Each document's postings sum to zero: a debit is positive, a credit
negative. A document is posted at the moment at which it was made; a payment's `value_at` is the day of the money.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from billing.credits import PAID_FOR
from billing.csv_export import to_csv
from billing.settlement import asked_cents, tax_share
from core.models.billing import Collection, Invoice, InvoiceLine
from core.models.credit_grants import CreditEntry, CreditGrant, CreditKind
from core.models.payments import CreditNote, Payment
from core.models.tenants import Tenant

RECEIVABLE = "accounts_receivable"
TAX = "tax_payable"
CUSTOMER_CREDITS = "customer_credits"
"""What tenants paid for and have not used: owed to them."""
GIVEN_CREDITS = "given_credits"
"""Trials and promotions that invoices drew: less revenue."""
CREDIT_NOTES = "credit_notes"
BAD_DEBT = "bad_debt"
EXPIRED_CREDITS = "revenue:expired_credits"


class Document(StrEnum):
    """What a posting follows from, in the order in which those of one moment are listed."""

    INVOICE = "invoice"
    CREDITS_DRAWN = "credits_drawn"
    PAYMENT = "payment"
    CREDIT_NOTE = "credit_note"
    REFUND = "refund"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"
    PREPAYMENT = "prepayment"
    CREDIT_EXPIRED = "credit_expired"


@dataclass(frozen=True)
class Posting:
    """One document's amount on one account, in cents: a debit, or a credit where it is negative."""

    at: datetime
    value_at: datetime
    document: Document
    reference: str
    tenant_id: UUID
    account: str
    currency: str
    amount_cents: int

    @property
    def debit_cents(self) -> int:
        return max(0, self.amount_cents)

    @property
    def credit_cents(self) -> int:
        return max(0, -self.amount_cents)


def cash(collection: Collection) -> str:
    """The account that money of this way of collecting comes to."""
    return f"cash:{collection}"


def journal(session: Session, start: datetime, end: datetime) -> list[Posting]:
    """The postings of `[start, end)`, in the order of time. Wants an operator session to have all tenants'."""
    postings = [
        *_invoices(session, start, end),
        *_voids(session, start, end),
        *_payments(session, start, end),
        *_credit_notes(session, start, end),
        *_write_offs(session, start, end),
        *_prepayments(session, start, end),
        *_expiries(session, start, end),
    ]
    order = list(Document)
    return sorted(postings, key=lambda one: (one.at, order.index(one.document), one.reference))


def journal_csv(session: Session, postings: Iterable[Posting]) -> str:
    """Postings as CSV, one a row, for accounting; amounts in cents. Wants an operator session."""
    names = dict(session.execute(select(Tenant.id, Tenant.name)).all())
    header = (
        "posted_at",
        "value_date",
        "document",
        "reference",
        "tenant",
        "tenant_id",
        "account",
        "currency",
        "debit_cents",
        "credit_cents",
    )
    rows = (
        (
            posting.at.isoformat(),
            posting.value_at.date().isoformat(),
            posting.document.value,
            posting.reference,
            names.get(posting.tenant_id, ""),
            str(posting.tenant_id),
            posting.account,
            posting.currency,
            posting.debit_cents,
            posting.credit_cents,
        )
        for posting in postings
    )
    return to_csv(header, rows)


@dataclass(frozen=True)
class _Head:
    """What all postings of one document share."""

    at: datetime
    document: Document
    reference: str
    tenant_id: UUID
    currency: str
    value_at: datetime | None = None

    def post(self, amounts: Mapping[str, int]) -> Iterator[Posting]:
        for account, amount in amounts.items():
            if amount:
                yield Posting(
                    self.at,
                    self.value_at or self.at,
                    self.document,
                    self.reference,
                    self.tenant_id,
                    account,
                    self.currency,
                    amount,
                )


def _between(
    moment: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    start: datetime,
    end: datetime,
) -> ColumnElement[bool]:
    return (moment >= start) & (moment < end)


def _invoices(session: Session, start: datetime, end: datetime) -> Iterator[Posting]:
    chosen = _between(Invoice.issued_at, start, end)
    revenue, drawn = _revenue(session, chosen), _drawn(session, chosen)
    for invoice in session.scalars(select(Invoice).where(chosen)):
        if invoice.issued_at is not None:
            asked, used = _asked(invoice, revenue[invoice.id]), drawn[invoice.id]
            yield from _head(invoice, invoice.issued_at, Document.INVOICE).post(asked)
            yield from _head(invoice, invoice.issued_at, Document.CREDITS_DRAWN).post(used)


def _voids(session: Session, start: datetime, end: datetime) -> Iterator[Posting]:
    """A void invoice takes back all that was posted for it."""
    chosen = _between(Invoice.voided_at, start, end)
    revenue, drawn = _revenue(session, chosen), _drawn(session, chosen)
    for invoice in session.scalars(select(Invoice).where(chosen)):
        if invoice.voided_at is not None:
            amounts: dict[str, int] = defaultdict(int)
            for part in (_asked(invoice, revenue[invoice.id]), drawn[invoice.id]):
                for account, amount in part.items():
                    amounts[account] -= amount
            yield from _head(invoice, invoice.voided_at, Document.VOID).post(amounts)


def _payments(session: Session, start: datetime, end: datetime) -> Iterator[Posting]:
    """What comes in for an invoice that was given up already makes good the bad debt."""
    rows = session.execute(
        select(Payment, Invoice)
        .join(Invoice, Invoice.id == Payment.invoice_id)
        .where(_between(Payment.created_at, start, end))
    )
    for payment, invoice in rows:
        is_refund = payment.amount_cents < 0
        given_up = invoice.uncollectible_at is not None and invoice.uncollectible_at <= payment.created_at
        head = _Head(
            payment.created_at,
            Document.REFUND if is_refund else Document.PAYMENT,
            f"{invoice.number}/{payment.reference}",
            payment.tenant_id,
            payment.currency,
            payment.paid_at,
        )
        settled = BAD_DEBT if given_up and not is_refund else RECEIVABLE
        yield from head.post({cash(payment.collection): payment.amount_cents, settled: -payment.amount_cents})


def _credit_notes(session: Session, start: datetime, end: datetime) -> Iterator[Posting]:
    noted_before = func.sum(CreditNote.amount_cents).over(
        partition_by=CreditNote.invoice_id, order_by=CreditNote.number, rows=(None, 0)
    )
    running = select(CreditNote.id, noted_before.label("noted")).subquery()
    rows = session.execute(
        select(CreditNote, Invoice, running.c.noted)
        .join(running, running.c.id == CreditNote.id)
        .join(Invoice, Invoice.id == CreditNote.invoice_id)
        .where(_between(CreditNote.issued_at, start, end))
    )
    for note, invoice, noted in rows:
        tax = tax_share(invoice, int(noted)) - tax_share(invoice, int(noted) - note.amount_cents)
        head = _Head(note.issued_at, Document.CREDIT_NOTE, note.number, note.tenant_id, note.currency)
        yield from head.post(
            {
                CREDIT_NOTES: note.amount_cents - tax,
                TAX: tax,
                RECEIVABLE: -note.due_cents - note.refund_cents,
                CUSTOMER_CREDITS: -note.credit_cents,
            }
        )


def _write_offs(session: Session, start: datetime, end: datetime) -> Iterator[Posting]:
    chosen = _between(Invoice.uncollectible_at, start, end)
    paid = _sums(
        session,
        select(Payment.invoice_id, func.sum(Payment.amount_cents))
        .join(Invoice, Invoice.id == Payment.invoice_id)
        .where(chosen, Payment.created_at < Invoice.uncollectible_at)
        .group_by(Payment.invoice_id),
    )
    noted = _sums(
        session,
        select(CreditNote.invoice_id, func.sum(CreditNote.due_cents + CreditNote.refund_cents))
        .join(Invoice, Invoice.id == CreditNote.invoice_id)
        .where(chosen, CreditNote.issued_at < Invoice.uncollectible_at)
        .group_by(CreditNote.invoice_id),
    )
    for invoice in session.scalars(select(Invoice).where(chosen)):
        if invoice.uncollectible_at is not None:
            left = asked_cents(invoice) - invoice.credits_cents - noted[invoice.id] - paid[invoice.id]
            head = _head(invoice, invoice.uncollectible_at, Document.UNCOLLECTIBLE)
            yield from head.post({BAD_DEBT: left, RECEIVABLE: -left})


def _prepayments(session: Session, start: datetime, end: datetime) -> Iterator[Posting]:
    chosen = (CreditGrant.kind == CreditKind.PREPAID) & _between(CreditGrant.granted_at, start, end)
    for grant in session.scalars(select(CreditGrant).where(chosen)):
        head = _Head(grant.granted_at, Document.PREPAYMENT, grant.reference, grant.tenant_id, grant.currency)
        amount = grant.amount_cents
        yield from head.post({cash(_came_by(grant)): amount, CUSTOMER_CREDITS: -amount})


def _came_by(grant: CreditGrant) -> Collection:
    """What Stripe took beyond what was left to pay is granted in its name; staff grants what came by transfer."""
    return Collection.STRIPE if grant.granted_by == Collection.STRIPE else Collection.BANK_TRANSFER


def _expiries(session: Session, start: datetime, end: datetime) -> Iterator[Posting]:
    """Credit that was paid for and expired unused is the operator's; what was given never was the tenant's money."""
    rows = session.execute(
        select(CreditEntry, CreditGrant)
        .join(CreditGrant, CreditGrant.id == CreditEntry.grant_id)
        .where(
            CreditEntry.invoice_id.is_(None),
            CreditGrant.kind.in_(PAID_FOR),
            _between(CreditEntry.entered_at, start, end),
        )
    )
    for entry, grant in rows:
        head = _Head(
            entry.entered_at, Document.CREDIT_EXPIRED, grant.reference, grant.tenant_id, grant.currency
        )
        yield from head.post({CUSTOMER_CREDITS: -entry.amount_cents, EXPIRED_CREDITS: entry.amount_cents})


def _sums(session: Session, query: Select[UUID, int]) -> Mapping[UUID, int]:
    return defaultdict(int, {invoice_id: int(amount) for invoice_id, amount in session.execute(query)})


def _head(invoice: Invoice, at: datetime, document: Document) -> _Head:
    return _Head(at, document, invoice.number or "", invoice.tenant_id, invoice.currency)


def _asked(invoice: Invoice, revenue: Mapping[str, int]) -> dict[str, int]:
    """An issued invoice's amounts: lines that sum below zero are not receivable but the tenant's credit."""
    return {
        RECEIVABLE: asked_cents(invoice),
        **revenue,
        TAX: -invoice.tax_cents,
        CUSTOMER_CREDITS: min(0, invoice.total_cents),
    }


def _revenue(session: Session, chosen: ColumnElement[bool]) -> Mapping[UUID, Mapping[str, int]]:
    """The chosen invoices' lines by the account of their kind."""
    found: dict[UUID, dict[str, int]] = defaultdict(dict)
    rows = session.execute(
        select(InvoiceLine.invoice_id, InvoiceLine.kind, func.sum(InvoiceLine.amount_cents))
        .join(Invoice, Invoice.id == InvoiceLine.invoice_id)
        .where(chosen)
        .group_by(InvoiceLine.invoice_id, InvoiceLine.kind)
        .order_by(InvoiceLine.kind)
    )
    for invoice_id, kind, amount in rows:
        found[invoice_id][f"revenue:{kind}"] = -int(amount)
    return found


def _drawn(session: Session, chosen: ColumnElement[bool]) -> Mapping[UUID, Mapping[str, int]]:
    """The credits that the chosen invoices drew, whether or not they gave them back since."""
    found: dict[UUID, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    rows = session.execute(
        select(CreditEntry.invoice_id, CreditGrant.kind, func.sum(CreditEntry.amount_cents))
        .join(CreditGrant, CreditGrant.id == CreditEntry.grant_id)
        .join(Invoice, Invoice.id == CreditEntry.invoice_id)
        .where(chosen, CreditEntry.amount_cents < 0)
        .group_by(CreditEntry.invoice_id, CreditGrant.kind)
    )
    for invoice_id, kind, amount in rows:
        if invoice_id is not None:
            account = CUSTOMER_CREDITS if kind in PAID_FOR else GIVEN_CREDITS
            found[invoice_id][account] -= int(amount)
            found[invoice_id][RECEIVABLE] += int(amount)
    return found
