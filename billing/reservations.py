"""Room in a budget, taken before work and given back or used after it, so that no cap is passed whatever runs at once.

What the ledger has and the most that everything under way can use must fit a cap together. Who asks for room holds the
cap's row while it looks and takes, and what it looks at moves from reserved to used in one step (billing/counters.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from billing import alerts, counters
from billing.counters import Counts
from billing.money import money
from billing.periods import Month
from billing.plans import current_plan
from billing.spend import key_cents, most_key_cents, most_tenant_cents, tenant_cents
from billing.terms import Schedule, load_terms
from core.clock import now
from core.db import tenant_session
from core.models.budgets import Budget, BudgetReservation
from core.models.usage import UsageKind
from core.tenancy import TenantScope

LIFETIME = timedelta(minutes=2)
"""How long a request's reservation counts: longer than any takes. A stream's is extended while it is written."""


class BudgetReached(Exception):
    """The work could pass a monthly budget; the message says which, and what to do."""

    def __init__(self, message: str, budget: Budget) -> None:
        super().__init__(message)
        self.budget = budget


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done, and the most that it can use, in tokens by kind.

    `request_id` is the one that its facts will have. `occurs_at` is when the ledger will say that it happened: None for
    a job, which uses when it ends, and whose reservation counts until it is released or used.
    """

    request_id: str
    most: Mapping[UsageKind, int]
    api_key_id: UUID | None = None
    occurs_at: datetime | None = None


def reserve(scope: TenantScope, work: Work) -> bool:
    """Take room for `work` in the tenant's and its key's caps; False where there is none to keep to.

    To reserve again for the same request replaces what it had. Raises BudgetReached, and then nothing is reserved.
    """
    try:
        with tenant_session(scope) as session:
            is_reserved = reserve_in(session, scope.tenant_id, work)
            session.commit()
    except BudgetReached as reached:
        alerts.note_refusal(scope, reached.budget, str(reached))
        raise
    return is_reserved


def reserve_in(session: Session, tenant_id: UUID, work: Work) -> bool:
    """The same in the session's transaction, which holds up others of the tenant until the caller commits."""
    caps = _caps(tenant_id, work.api_key_id)
    if not session.scalars(caps.limit(1)).all():
        return False
    terms = load_terms(session, tenant_id)
    held = session.scalars(caps.order_by(Budget.id).with_for_update()).all()
    at = now()
    in_force = terms.schedule(Month.containing(work.occurs_at or at))
    counts = counters.read(session, tenant_id, in_force, at, work.request_id)
    for cap in held:
        _check(session, cap, counts[cap.api_key_id].with_more(work.most, work.occurs_at or at), in_force)
    values = {
        "api_key_id": work.api_key_id,
        "quantities": {kind.value: quantity for kind, quantity in work.most.items()},
        "occurs_at": work.occurs_at,
        "expires_at": None if work.occurs_at is None else at + LIFETIME,
    }
    session.execute(
        insert(BudgetReservation)
        .values(id=uuid4(), tenant_id=tenant_id, request_id=work.request_id, **values)
        .on_conflict_do_update(index_elements=["tenant_id", "request_id"], set_=values)
    )
    return True


def release(scope: TenantScope, request_id: str) -> None:
    """Give back what is still reserved for a request that failed."""
    with tenant_session(scope) as session:
        release_in(session, scope.tenant_id, request_id)
        session.commit()


def release_in(session: Session, tenant_id: UUID, request_id: str) -> None:
    """The same in the session's transaction; the caller commits."""
    session.execute(delete(BudgetReservation).where(_of(tenant_id, request_id)))


def extend(scope: TenantScope, request_id: str) -> None:
    """Have the reservation of a request that is still at work count for a full LIFETIME from now on."""
    with tenant_session(scope) as session:
        session.execute(
            update(BudgetReservation)
            .where(_of(scope.tenant_id, request_id))
            .values(expires_at=now() + LIFETIME)
        )
        session.commit()


def delete_expired(session: Session) -> None:
    """Delete every tenant's reservations that count no more. Wants an operator session, which the caller commits."""
    session.execute(delete(BudgetReservation).where(BudgetReservation.expires_at <= now()))


def _of(tenant_id: UUID, request_id: str) -> ColumnElement[bool]:
    return and_(BudgetReservation.tenant_id == tenant_id, BudgetReservation.request_id == request_id)


def _caps(tenant_id: UUID, api_key_id: UUID | None) -> Select[Budget]:
    return select(Budget).where(
        Budget.tenant_id == tenant_id,
        Budget.is_cap,
        Budget.api_key_id.is_(None) | (Budget.api_key_id == api_key_id),
    )


def _check(session: Session, cap: Budget, counts: Counts, in_force: Schedule) -> None:
    """Raise BudgetReached where a cap's counts, the work's own among them, can cost more than it."""
    if cap.api_key_id is None:
        spent, most = (
            Decimal(tenant_cents(in_force, counts.used)),
            Decimal(most_tenant_cents(in_force, counts)),
        )
    else:
        spent, most = key_cents(in_force, counts.used), most_key_cents(in_force, counts)
    if most > cap.monthly_cents:
        raise BudgetReached(_refusal(session, cap, spent, most - spent, in_force.month), cap)


def _refusal(session: Session, cap: Budget, spent: Decimal, more: Decimal, month: Month) -> str:
    currency = current_plan(session, cap.tenant_id).currency
    whose = "of this API key" if cap.api_key_id else "of your tenant"
    return (
        f"The monthly budget {whose} is {money(cap.monthly_cents, currency)}: {money(spent, currency)} is spent, and "
        f"with this, what is under way could cost {money(more.to_integral_value(ROUND_CEILING), currency)} more. "
        "Ask for less, raise the budget on the portal's page 'Budgets', or wait until "
        f"{month.next.start:%Y-%m-%d}, 00:00 UTC."
    )
