"""Monthly recurring revenue: the fees in force for the plans that tenants are on, before anything they use."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from billing.csv_export import to_csv
from billing.money import unit_price
from billing.plans import held_plan_code, list_plans, list_prices
from billing.schedule import price_at
from core.models.billing import Plan, PriceKind
from core.models.tenants import Tenant


@dataclass(frozen=True)
class PlanFees:
    """A plan's monthly fee in cents, and the tenants that are on it."""

    plan: Plan
    fee: Decimal
    tenants: Sequence[Tenant]

    @property
    def monthly_cents(self) -> Decimal:
        """What the plan's fees come to in a whole month."""
        return self.fee * len(self.tenants)


def recurring_fees(session: Session, at: datetime) -> list[PlanFees]:
    """The fees in force at a moment, by plan; plans that no tenant is on are left out. Wants an operator session."""
    held: dict[str, list[Tenant]] = defaultdict(list)
    rows = session.execute(
        select(Tenant, held_plan_code(Tenant.id, bindparam("at", at))).order_by(
            func.lower(Tenant.name), Tenant.id
        )
    )
    for tenant, code in rows:
        held[code].append(tenant)
    prices = list_prices(session)
    return [
        PlanFees(plan, price_at(at, plan.code, PriceKind.PLATFORM, prices).unit_amount, held[plan.code])
        for plan in list_plans(session)
        if plan.code in held
    ]


def monthly_cents(fees: Iterable[PlanFees]) -> dict[str, Decimal]:
    """The sum of all plans, by currency."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in fees:
        sums[one.plan.currency] += one.monthly_cents
    return dict(sums)


def fees_csv(fees: Iterable[PlanFees]) -> str:
    """Each tenant's fee as CSV, one a row, in cents."""
    header = ("plan", "plan_name", "tenant", "tenant_id", "currency", "fee_cents")
    rows = (
        (one.plan.code, one.plan.name, tenant.name, str(tenant.id), one.plan.currency, unit_price(one.fee))
        for one in fees
        for tenant in one.tenants
    )
    return to_csv(header, rows)
