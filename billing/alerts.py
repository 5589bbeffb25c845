"""Alerts of budgets: said once in a month when spend passes a share of the budget, and when a cap refuses work."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from uuid import UUID, uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from billing import counters
from billing.counters import Counts
from billing.money import money
from billing.notifications import Event, notify
from billing.periods import Month
from billing.plans import current_plan
from billing.spend import key_cents, tenant_cents
from billing.terms import Schedule, load_terms
from core.clock import now
from core.config import get_settings
from core.db import tenant_session
from core.models.api_keys import ApiKey
from core.models.budgets import Budget, BudgetAlert
from core.tenancy import TenantScope

log = structlog.get_logger(__name__)

THRESHOLDS = (50, 80, 100)
"""Per cent of a budget."""


@dataclass(frozen=True)
class _Watched:
    """A budget with what counts against it."""

    budget: Budget
    whose: str
    spent_cents: Decimal
    currency: str
    month: Month

    @property
    def reached(self) -> Iterator[int]:
        """The thresholds that spend has passed. A budget of nothing is passed by the first cent."""
        budget = self.budget.monthly_cents
        for threshold in THRESHOLDS:
            if self.spent_cents > 0 and self.spent_cents * 100 >= budget * threshold:
                yield threshold


def raise_due(session: Session, tenant_id: UUID, at: datetime | None = None) -> None:
    """Tell the tenant's people which thresholds its budgets have passed since. The caller commits."""
    at = at or now()
    for watched in _watched(session, tenant_id, at):
        told = [threshold for threshold in watched.reached if _is_new(session, watched, threshold, at)]
        if told:
            # Of several at once, the highest says it all.
            _tell(session, watched, max(told))


def raise_all_due(session: Session) -> None:
    """The same for every tenant that has a budget. Wants an operator session; commits each tenant."""
    for tenant_id in session.scalars(select(Budget.tenant_id).distinct()).all():
        try:
            raise_due(session, tenant_id)
            session.commit()
        except Exception:
            # What is wrong with one tenant must not keep the others from being told.
            session.rollback()
            log.exception("budget_alerts_failed", tenant_id=str(tenant_id))


def note_refusal(scope: TenantScope, budget: Budget, message: str) -> None:
    """Tell the tenant's people that a cap has refused work: once in a month."""
    month = Month.containing(now())
    with tenant_session(scope) as session:
        whose = _whose(session, budget)
        is_new = notify(
            session,
            scope.tenant_id,
            Event.BUDGET_REFUSED,
            f"budget-refused:{budget.id}:{month}",
            subject=f"Requests are refused by the monthly budget of {whose}",
            body=f"A request was refused, and others may be. {message}\n\n{_page()}\n",
            payload=_payload(budget, month),
            webhook_url=budget.webhook_url,
        )
        if is_new:
            session.commit()


def _watched(session: Session, tenant_id: UUID, at: datetime) -> list[_Watched]:
    budgets = session.scalars(select(Budget).where(Budget.tenant_id == tenant_id)).all()
    if not budgets:
        return []
    in_force = load_terms(session, tenant_id).schedule(Month.containing(at))
    counts = counters.read(session, tenant_id, in_force, at)
    currency = current_plan(session, tenant_id, at).currency
    return [
        _Watched(
            budget,
            _whose(session, budget),
            spent_cents(in_force, budget, counts[budget.api_key_id]),
            currency,
            in_force.month,
        )
        for budget in budgets
    ]


def spent_cents(in_force: Schedule, budget: Budget, counts: Counts) -> Decimal:
    """What counts against a budget so far, in cents."""
    if budget.api_key_id is None:
        return Decimal(tenant_cents(in_force, counts.used))
    return key_cents(in_force, counts.used)


def _is_new(session: Session, watched: _Watched, threshold: int, at: datetime) -> bool:
    statement = (
        insert(BudgetAlert)
        .values(
            id=uuid4(),
            tenant_id=watched.budget.tenant_id,
            budget_id=watched.budget.id,
            month=watched.month.days[0],
            threshold_percent=threshold,
            spent_cents=int(watched.spent_cents.to_integral_value(ROUND_FLOOR)),
            reached_at=at,
        )
        .on_conflict_do_nothing()
        .returning(BudgetAlert.id)
    )
    return session.scalar(statement) is not None


def _tell(session: Session, watched: _Watched, threshold: int) -> None:
    budget = watched.budget
    spent = money(watched.spent_cents.to_integral_value(ROUND_FLOOR), watched.currency)
    amount = money(budget.monthly_cents, watched.currency)
    effect = "What could pass it is refused." if budget.is_cap else "Nothing is refused: it only alerts."
    notify(
        session,
        budget.tenant_id,
        Event.BUDGET_THRESHOLD,
        f"budget:{budget.id}:{watched.month}:{threshold}",
        subject=f"{threshold} % of the monthly budget of {watched.whose} is spent",
        body=f"{spent} of {amount} is spent in {watched.month.title}. {effect}\n\n{_page()}\n",
        payload={
            **_payload(budget, watched.month),
            "threshold_percent": threshold,
            "spent_cents": int(watched.spent_cents),
        },
        webhook_url=budget.webhook_url,
    )


def _payload(budget: Budget, month: Month) -> dict[str, object]:
    return {
        "budget_id": str(budget.id),
        "api_key_id": str(budget.api_key_id) if budget.api_key_id else None,
        "month": str(month),
        "monthly_cents": budget.monthly_cents,
    }


def _whose(session: Session, budget: Budget) -> str:
    if budget.api_key_id is None:
        return "your tenant"
    return f"the API key “{session.get_one(ApiKey, budget.api_key_id).name}”"


def _page() -> str:
    return f"{get_settings().portal_url}/budgets"
