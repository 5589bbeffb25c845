"""Budgets of all tenants that are nearly spent, or passed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.budgets import BudgetState, overview
from billing.periods import Month
from core.models.budgets import BudgetAlert
from core.models.tenants import Tenant

NEAR_PERCENT = 80
"""From how much of a budget on its tenant is near it. It is one of the thresholds of billing/alerts.py."""


@dataclass(frozen=True)
class NearBudget:
    """A budget of which at least `NEAR_PERCENT` is spent in the running month."""

    tenant: Tenant
    state: BudgetState
    currency: str


def list_near(session: Session, at: datetime) -> list[NearBudget]:
    """The budgets that are nearly spent, caps first, the fullest first.

    They are looked for among the tenants whose alert the clock has raised, and counted exactly. Wants an operator
    session; the caller commits, since usage may be counted for it.
    """
    alerted = select(BudgetAlert.tenant_id).where(
        BudgetAlert.month == Month.containing(at).days[0], BudgetAlert.threshold_percent >= NEAR_PERCENT
    )
    near = []
    for tenant in session.scalars(select(Tenant).where(Tenant.id.in_(alerted))).all():
        budgets = overview(session, tenant.id, at)
        near += [
            NearBudget(tenant, state, budgets.currency)
            for state in budgets.states
            if _is_near(state) and state.spent_cents
        ]
    return sorted(
        near, key=lambda one: (not one.state.budget.is_cap, -one.state.share_spent, one.tenant.name)
    )


def _is_near(state: BudgetState) -> bool:
    return state.spent_cents * 100 >= state.budget.monthly_cents * NEAR_PERCENT
