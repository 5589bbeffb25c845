"""Budgets as a tenant's people set them, and how each stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from billing import counters
from billing.alerts import spent_cents
from billing.counters import Counts, Quantities
from billing.periods import Month
from billing.plans import current_plan
from billing.rating import project
from billing.spend import key_cents, most_key_cents, most_tenant_cents, tenant_cents
from billing.terms import USAGE_KINDS, Schedule, load_terms
from core import webhooks
from core.audit import record
from core.clock import now
from core.models.api_keys import ApiKey
from core.models.budgets import Budget, BudgetAlert
from core.tenancy import Permission, TenantScope
from core.webhooks import InvalidUrl

LARGEST_CENTS = 10**12

_SHORTEST_PACE = timedelta(days=1)


class BudgetError(Exception):
    """The budget cannot be as asked; the message says why, and is fit to show. `field` is the one at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class BudgetState:
    """A budget in the running month: what is spent, what may be on top with all that is under way, and the forecast."""

    budget: Budget
    key: ApiKey | None
    spent_cents: Decimal
    reserved_cents: Decimal
    forecast_cents: Decimal

    @property
    def share_spent(self) -> float:
        """From 0 to 1, for a bar; the figures beside it are exact."""
        budget = self.budget.monthly_cents
        return min(1.0, float(self.spent_cents / budget)) if budget else 1.0

    @property
    def will_pass(self) -> bool:
        """Whether the month ends above the budget, if it goes on at this pace."""
        return self.forecast_cents > self.budget.monthly_cents


@dataclass(frozen=True)
class BudgetOverview:
    """All of a tenant's budgets in the running month, its own first."""

    month: Month
    currency: str
    states: Sequence[BudgetState]


def set_budget(
    session: Session,
    scope: TenantScope,
    *,
    api_key_id: UUID | None,
    monthly_cents: int,
    is_cap: bool,
    webhook_url: str | None,
) -> Budget:
    """Give the tenant, or one of its keys, a monthly budget, in place of the one it has. The caller commits.

    Raises PermissionDenied, and BudgetError.
    """
    scope.require(Permission.BILLING_WRITE)
    if not 0 <= monthly_cents <= LARGEST_CENTS:
        raise BudgetError("amount", "Give an amount from 0 to 10 billion.")
    if webhook_url is not None:
        try:
            webhooks.check_url(webhook_url)
        except InvalidUrl:
            raise BudgetError("webhook_url", "Give an address like https://app.example/hook.") from None
    if api_key_id is not None and not _is_active(session, api_key_id):
        raise BudgetError("api_key", "This key is revoked or does not exist. Choose an active one.")
    values = {"monthly_cents": monthly_cents, "is_cap": is_cap, "webhook_url": webhook_url}
    budget = session.scalars(
        insert(Budget)
        .values(id=uuid4(), tenant_id=scope.tenant_id, api_key_id=api_key_id, **values)
        .on_conflict_do_update(index_elements=["tenant_id", "api_key_id"], set_=values)
        .returning(Budget),
        execution_options={"populate_existing": True},
    ).one()
    record(session, scope, "budget.set", budget, {"monthly_cents": monthly_cents, "is_cap": is_cap})
    return budget


def delete_budget(session: Session, scope: TenantScope, budget: Budget) -> None:
    """Remove a budget with its alerts. The caller commits. Raises PermissionDenied."""
    scope.require(Permission.BILLING_WRITE)
    record(session, scope, "budget.deleted", budget)
    session.delete(budget)
    session.flush()
    if session.scalar(select(func.count()).select_from(Budget)) == 0:
        counters.forget(session, scope.tenant_id)


def overview(session: Session, tenant_id: UUID, at: datetime | None = None) -> BudgetOverview:
    """How the tenant's budgets stand. The caller commits, since usage may be counted for it."""
    at = at or now()
    month = Month.containing(at)
    currency = current_plan(session, tenant_id, at).currency
    rows = session.execute(
        select(Budget, ApiKey)
        .outerjoin(ApiKey, ApiKey.id == Budget.api_key_id)
        .where(Budget.tenant_id == tenant_id)
        .order_by(Budget.api_key_id.is_not(None), ApiKey.name)
    ).all()
    if not rows:
        return BudgetOverview(month, currency, [])
    in_force = load_terms(session, tenant_id).schedule(month)
    counts = counters.read(session, tenant_id, in_force, at)
    return BudgetOverview(
        month,
        currency,
        [_state(budget, key, in_force, counts[budget.api_key_id], at) for budget, key in rows],
    )


def list_alerts(session: Session, limit: int = 50) -> Sequence[tuple[BudgetAlert, Budget, ApiKey | None]]:
    """What the tenant's people were told, the newest first."""
    rows = session.execute(
        select(BudgetAlert, Budget, ApiKey)
        .join(Budget, Budget.id == BudgetAlert.budget_id)
        .outerjoin(ApiKey, ApiKey.id == Budget.api_key_id)
        .order_by(BudgetAlert.reached_at.desc(), BudgetAlert.threshold_percent.desc())
        .limit(limit)
    )
    return [(alert, budget, key) for alert, budget, key in rows]


def _state(
    budget: Budget, key: ApiKey | None, in_force: Schedule, counts: Counts, at: datetime
) -> BudgetState:
    spent = spent_cents(in_force, budget, counts)
    projected = _projected(in_force, counts.used, at)
    if budget.api_key_id is None:
        most, forecast = (
            Decimal(most_tenant_cents(in_force, counts)),
            Decimal(tenant_cents(in_force, projected)),
        )
    else:
        most, forecast = most_key_cents(in_force, counts), key_cents(in_force, projected)
    return BudgetState(budget, key, spent, max(Decimal(0), most - spent), forecast)


def _projected(in_force: Schedule, used: Quantities, at: datetime) -> Quantities:
    """The month's usage if its rest goes on at the pace so far."""
    month = in_force.month
    elapsed = max(at - month.start, _SHORTEST_PACE)
    return {
        kind: [
            *used[kind],
            (at, project(sum(tokens for _, tokens in used[kind]), elapsed, month.end - at)),
        ]
        for kind in USAGE_KINDS
    }


def _is_active(session: Session, api_key_id: UUID) -> bool:
    key = session.get(ApiKey, api_key_id)
    return key is not None and key.revoked_at is None
