"""Credits: money that a tenant has with the operator, drawn down before anything is asked for.

A grant's balance is its amount and its entries. Entries are only ever added, under a lock for each tenant, so that
two that draw at once never take a grant below zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from billing.locks import hold_credits
from core import audit
from core.clock import now
from core.models.billing import Invoice
from core.models.credit_grants import CreditEntry, CreditGrant, CreditKind
from core.tenancy import Actor

_DRAWN_ORDER = (CreditKind.TRIAL, CreditKind.PROMOTION, CreditKind.PREPAID, CreditKind.CREDIT_NOTE)
_NEVER = datetime.max.replace(tzinfo=UTC)

PAID_FOR = frozenset({CreditKind.PREPAID, CreditKind.CREDIT_NOTE})
"""Credits that the operator owes back; the others were given."""

log = structlog.get_logger(__name__)


class CreditError(Exception):
    """The credit cannot be granted; the message says why, and is fit to show."""


@dataclass(frozen=True)
class Credit:
    """A grant and what is left of it, in cents."""

    grant: CreditGrant
    balance_cents: int

    def is_spendable(self, at: datetime) -> bool:
        """Whether something can be drawn of it at a moment."""
        return self.balance_cents > 0 and self.grant.granted_at <= at and not self.has_expired(at)

    def has_expired(self, at: datetime) -> bool:
        return self.grant.expires_at is not None and self.grant.expires_at <= at


def grant_credit(
    session: Session,
    actor: Actor,
    tenant_id: UUID,
    kind: CreditKind,
    amount_cents: int,
    currency: str,
    reference: str,
    *,
    note: str | None = None,
    at: datetime | None = None,
    expires_at: datetime | None = None,
) -> CreditGrant:
    """Give a tenant credit, once for each `reference`; granting the same again does nothing. The caller commits.

    Wants an operator session. Raises CreditError for an amount that is not positive, an expiry that is not after
    `at`, which is now by default, and a reference that stands for another credit.
    """
    at, reference = at or now(), reference.strip()
    if amount_cents <= 0:
        raise CreditError("Give an amount of at least one cent.")
    if expires_at is not None and expires_at <= at:
        raise CreditError("It cannot expire before it is granted.")
    if not 1 <= len(reference) <= 120:
        raise CreditError("Give a reference, in 1 to 120 characters.")
    values = {
        "kind": kind,
        "amount_cents": amount_cents,
        "currency": currency,
        "reference": reference,
        "note": note,
        "granted_by": actor.label,
        "granted_at": at,
        "expires_at": expires_at,
    }
    added: CreditGrant | None = session.scalar(
        insert(CreditGrant)
        .values(tenant_id=tenant_id, **values)
        .on_conflict_do_nothing(index_elements=["tenant_id", "reference"])
        .returning(CreditGrant)
    )
    if added is None:
        return _same_grant(session, tenant_id, kind, amount_cents, currency, reference)
    detail = {"kind": kind, "amount_cents": amount_cents, "currency": currency, "reference": reference}
    audit.record_for_tenant(session, tenant_id, actor, "credit.granted", added, detail)
    audit.record_staff(session, actor, "credit.granted", CreditGrant.__tablename__, added.id, detail)
    log.info("credit_granted", tenant=str(tenant_id), kind=kind, amount_cents=amount_cents)
    return added


def list_credits(session: Session, tenant_id: UUID) -> Sequence[Credit]:
    """A tenant's grants with what is left of each, in the order in which they are drawn."""
    return sorted(_read(session, CreditGrant.tenant_id == tenant_id), key=_drawn_first)


def list_entries(
    session: Session, tenant_id: UUID
) -> Sequence[tuple[CreditEntry, CreditGrant, Invoice | None]]:
    """What moved a tenant's credits, the newest first: with the invoice that drew or returned it, and none where it
    expired."""
    rows = session.execute(
        select(CreditEntry, CreditGrant, Invoice)
        .join(
            CreditGrant,
            (CreditGrant.tenant_id == CreditEntry.tenant_id) & (CreditGrant.id == CreditEntry.grant_id),
        )
        .outerjoin(
            Invoice, (Invoice.tenant_id == CreditEntry.tenant_id) & (Invoice.id == CreditEntry.invoice_id)
        )
        .where(CreditEntry.tenant_id == tenant_id)
        .order_by(CreditEntry.entered_at.desc(), CreditEntry.id)
    )
    return [(entry, granted, invoice) for entry, granted, invoice in rows]


def spendable_cents(listed: Sequence[Credit], currency: str, at: datetime | None = None) -> int:
    """What could be drawn of a tenant's credits at a moment, now by default."""
    at = at or now()
    return sum(
        credit.balance_cents
        for credit in listed
        if credit.is_spendable(at) and credit.grant.currency == currency
    )


def draw_credits(session: Session, invoice: Invoice, at: datetime) -> int:
    """Set a tenant's credits against a draft's lines, as far as they go; returns the cents drawn.

    Soonest expiry goes first, then what was given before what was paid for, then the oldest. What the invoice's
    period ended with is drawn, though it has expired by `at`. Tax is not paid with credits. Wants an operator session.
    """
    hold_credits(session, invoice.tenant_id)
    left = invoice.total_cents
    period_over = min(at, invoice.period_end - timedelta.resolution)
    for credit in list_credits(session, invoice.tenant_id):
        if left <= 0:
            break
        if credit.grant.granted_at > at or credit.has_expired(period_over):
            continue
        if credit.balance_cents > 0 and credit.grant.currency == invoice.currency:
            part = min(left, credit.balance_cents)
            _enter(session, credit.grant, -part, at, invoice.id)
            left -= part
    invoice.credits_cents = max(0, invoice.total_cents) - max(0, left)
    session.flush()
    return invoice.credits_cents


def return_credits(session: Session, invoice: Invoice, at: datetime) -> int:
    """Return what an invoice had drawn to its grants; returns the cents. Wants an operator session."""
    hold_credits(session, invoice.tenant_id)
    drawn = session.execute(
        select(CreditGrant, func.sum(CreditEntry.amount_cents))
        .join(CreditEntry, CreditEntry.grant_id == CreditGrant.id)
        .where(CreditEntry.tenant_id == invoice.tenant_id, CreditEntry.invoice_id == invoice.id)
        .group_by(CreditGrant.id)
    ).all()
    returned = 0
    for granted, entered in drawn:
        if entered < 0:
            _enter(session, granted, -int(entered), at, invoice.id)
            returned -= int(entered)
    return returned


def expire_credits(session: Session, at: datetime | None = None) -> int:
    """Take what is left out of grants whose time is over; returns how many. Wants an operator session."""
    at = at or now()
    expired = _read(session, CreditGrant.expires_at <= at)
    ended = 0
    for tenant_id in sorted({credit.grant.tenant_id for credit in expired if credit.balance_cents}):
        hold_credits(session, tenant_id)
        for credit in _read(session, CreditGrant.tenant_id == tenant_id):
            if credit.has_expired(at) and credit.balance_cents:
                _enter(session, credit.grant, -credit.balance_cents, at)
                ended += 1
    return ended


def _read(session: Session, criterion: ColumnElement[bool]) -> Sequence[Credit]:
    entered = func.coalesce(func.sum(CreditEntry.amount_cents), 0)
    query = (
        select(CreditGrant, entered)
        .outerjoin(
            CreditEntry,
            (CreditEntry.tenant_id == CreditGrant.tenant_id) & (CreditEntry.grant_id == CreditGrant.id),
        )
        .where(criterion)
        .group_by(CreditGrant.id)
    )
    return [Credit(granted, granted.amount_cents + int(amount)) for granted, amount in session.execute(query)]


def _drawn_first(credit: Credit) -> tuple[datetime, int, datetime, UUID]:
    granted = credit.grant
    return (
        granted.expires_at or _NEVER,
        _DRAWN_ORDER.index(granted.kind),
        granted.granted_at,
        granted.id,
    )


def _enter(
    session: Session, granted: CreditGrant, amount_cents: int, at: datetime, invoice_id: UUID | None = None
) -> None:
    session.add(
        CreditEntry(
            tenant_id=granted.tenant_id,
            grant_id=granted.id,
            invoice_id=invoice_id,
            amount_cents=amount_cents,
            entered_at=at,
        )
    )
    session.flush()


def _same_grant(
    session: Session, tenant_id: UUID, kind: CreditKind, amount_cents: int, currency: str, reference: str
) -> CreditGrant:
    there = session.scalars(
        select(CreditGrant).where(CreditGrant.tenant_id == tenant_id, CreditGrant.reference == reference)
    ).one()
    if (there.kind, there.amount_cents, there.currency) != (kind, amount_cents, currency):
        raise CreditError(f"The reference “{reference}” stands for another credit: use one of its own.")
    return there
