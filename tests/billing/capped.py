"""Tenants with budgets, on plans of a test's own, and what they ask for."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing import counters, ledger, reservations
from billing.budgets import set_budget
from billing.ledger import Usage
from billing.periods import Month
from billing.plans import subscribe
from billing.reservations import BudgetReached, Work
from billing.spend import tenant_cents
from billing.terms import Schedule, load_terms, read_used
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.billing import Plan, PlanPrice, PriceKind, PriceScheme
from core.models.budgets import Budget, BudgetReservation, UsageCounter
from core.models.usage import UsageKind, UsageSource
from core.tenancy import TenantScope

LAUNCH = datetime(2020, 1, 1, tzinfo=UTC)
_plans = count(1)


def make_plan(session: Session, **prices: Mapping[str, Any]) -> str:
    """A plan on which what `prices` does not name costs nothing; its code."""
    code = f"test-{next(_plans)}"
    session.add(Plan(code=code, name=code, description="", currency="USD", position=99))
    session.flush()
    for kind in PriceKind:
        price = {"unit_amount": Decimal(0), "included_quantity": 0, **prices.get(kind.value, {})}
        scheme = PriceScheme.FLAT if "tiers" not in price else price.get("scheme", PriceScheme.GRADUATED)
        session.add(
            PlanPrice(plan_code=code, kind=kind, effective_from=LAUNCH, **{**price, "scheme": scheme})
        )
    session.flush()
    return code


def put_on_plan(scope: TenantScope, **prices: Mapping[str, Any]) -> str:
    """Put the tenant on a plan of its own from now on."""
    with operator_session("test") as session:
        code = make_plan(session, **prices)
        subscribe(session, scope.tenant_id, code)
        session.commit()
    return code


def cap(scope: TenantScope, cents: int, api_key_id: UUID | None = None, **fields: Any) -> Budget:
    """Set a cap, or what `fields` make of it."""
    with tenant_session(scope) as session:
        values = {"is_cap": True, "webhook_url": None, **fields}
        budget = set_budget(session, scope, api_key_id=api_key_id, monthly_cents=cents, **values)
        session.commit()
    return budget


def work(tokens: int, kind: UsageKind = UsageKind.PREDICTION, api_key_id: UUID | None = None) -> Work:
    """One request for at most `tokens`."""
    return Work(str(uuid4()), {kind: tokens}, api_key_id, now())


def fits(scope: TenantScope, asked: Work) -> bool:
    """Whether there was room for the work; it is reserved then."""
    try:
        reservations.reserve(scope, asked)
    except BudgetReached:
        return False
    return True


def use(scope: TenantScope, asked: Work, tokens: int, kind: UsageKind = UsageKind.PREDICTION) -> None:
    """Record what the work used."""
    usage = Usage(
        asked.request_id,
        kind,
        tokens,
        UsageSource.API,
        api_key_id=asked.api_key_id,
        occurred_at=asked.occurs_at or now(),
    )
    with tenant_session(scope) as session:
        ledger.record(session, scope.tenant_id, usage)
        session.commit()


def in_force(session: Session, scope: TenantScope) -> Schedule:
    """The running month's prices."""
    return load_terms(session, scope.tenant_id).schedule(Month.containing(now()))


def billed_cents(scope: TenantScope) -> int:
    """What the running month's usage costs by the ledger itself."""
    with tenant_session(scope) as session:
        prices = in_force(session, scope)
        return tenant_cents(prices, read_used(session, scope.tenant_id, prices))


def live_counters(scope: TenantScope) -> dict[tuple[Any, ...], int]:
    with tenant_session(scope) as session:
        rows = session.scalars(select(UsageCounter))
        return {(row.api_key_id, row.kind, row.starts_at, row.ends_at): row.quantity for row in rows}


def counters_from_ledger(scope: TenantScope) -> dict[tuple[Any, ...], int]:
    with tenant_session(scope) as session:
        counters.count_anew(session, scope.tenant_id, in_force(session, scope))
        session.commit()
    return live_counters(scope)


def reserved(scope: TenantScope) -> int:
    """How many reservations there are."""
    with tenant_session(scope) as session:
        return session.scalar(select(func.count()).select_from(BudgetReservation)) or 0
