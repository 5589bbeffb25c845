"""Plans as the operator's pages show them: prices in force, versions, and who is on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from billing import plans
from billing.rating import Price
from billing.schedule import price_at
from core.clock import now
from core.models.billing import Plan, PriceKind, Subscription
from core.models.tenants import Tenant


@dataclass(frozen=True)
class Version:
    """One version of a price, and the stretch of time in which it is in force."""

    price: Price
    until: datetime | None
    status: str


@dataclass(frozen=True)
class ShownPlan:
    """A plan with its prices in force by kind, every version by kind, and how many tenants are on it.

    One that is a contract has the tenant whose it is.
    """

    plan: Plan
    tenants: int
    prices: Mapping[PriceKind, Price]
    versions: Mapping[PriceKind, Sequence[Version]]
    contract_of: Tenant | None

    @property
    def upcoming(self) -> int:
        """How many changes of price are to come."""
        return sum(
            version.status == "upcoming" for versions in self.versions.values() for version in versions
        )


def list_plans(session: Session) -> Sequence[ShownPlan]:
    """Every plan, in the catalogue's order. Wants an operator session."""
    at, prices, tenants = now(), plans.list_prices(session), _tenants_by_plan(session)
    return [
        ShownPlan(
            plan,
            tenants.get(plan.code, 0),
            {kind: price_at(at, plan.code, kind, prices) for kind in PriceKind},
            {
                kind: _versions([p for p in prices if p.plan_code == plan.code and p.kind == kind], at)
                for kind in PriceKind
            },
            session.get_one(Tenant, plan.contract_tenant_id) if plan.contract_tenant_id else None,
        )
        for plan in plans.list_plans(session)
    ]


def find_plan(session: Session, code: str) -> ShownPlan | None:
    """One of them, if there is one of that code."""
    return next((shown for shown in list_plans(session) if shown.plan.code == code), None)


def _versions(prices: Sequence[Price], at: datetime) -> list[Version]:
    """The versions of one price, the newest first; `prices` has the oldest first."""
    ends = [price.effective_from for price in prices[1:]]
    versions = []
    for price, until in zip(prices, [*ends, None], strict=True):
        if price.effective_from > at:
            status = "upcoming"
        else:
            status = "in force" if until is None or at < until else "ended"
        versions.append(Version(price, until, status))
    return versions[::-1]


def _tenants_by_plan(session: Session) -> dict[str, int]:
    at = now()
    rows = session.execute(
        select(Subscription.plan_code, func.count())
        .where(Subscription.starts_at <= at, or_(Subscription.ends_at.is_(None), Subscription.ends_at > at))
        .group_by(Subscription.plan_code)
    )
    counts: dict[str, int] = dict(rows.all())
    without = (session.scalar(select(func.count(Tenant.id))) or 0) - sum(counts.values())
    counts[plans.DEFAULT_PLAN_CODE] = counts.get(plans.DEFAULT_PLAN_CODE, 0) + without
    return counts
