"""Plans, their versioned prices, and which plan a tenant is on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, SQLColumnExpression, func, or_, select
from sqlalchemy.orm import Session

from billing.locks import hold_billing
from billing.rating import Price, Tier
from billing.schedule import Holding, plan_at, price_at
from core.audit import record_for_tenant, record_staff
from core.clock import now
from core.models.billing import Invoice, Plan, PlanPrice, PriceKind, Subscription
from core.models.tenants import Tenant
from core.tenancy import Actor

DEFAULT_PLAN_CODE = "trial"
"""The plan of a tenant that subscribed to none; it never has a monthly fee."""


class PlanError(Exception):
    """A plan or a price cannot be changed as asked; the message says why, and is fit to show."""


def list_plans(session: Session, tenant_id: UUID | None = None) -> Sequence[Plan]:
    """The plans on offer, in their order: all, or those that a tenant can be put on, its own contracts among them."""
    query = select(Plan).order_by(Plan.position, Plan.code)
    if tenant_id is not None:
        query = query.where(or_(Plan.contract_tenant_id.is_(None), Plan.contract_tenant_id == tenant_id))
    return session.scalars(query).all()


def get_plan(session: Session, code: str) -> Plan:
    """Raises PlanError for a code that no plan has."""
    plan = session.get(Plan, code)
    if plan is None:
        raise PlanError(f"There is no plan {code!r}.")
    return plan


def list_prices(session: Session) -> list[Price]:
    """Every version of every price, oldest first."""
    rows = session.execute(
        select(PlanPrice, Plan.name)
        .join(Plan, Plan.code == PlanPrice.plan_code)
        .order_by(Plan.position, PlanPrice.kind, PlanPrice.effective_from)
    )
    return [
        Price(
            id=row.id,
            plan_code=row.plan_code,
            plan_name=name,
            kind=row.kind,
            unit_amount=row.unit_amount,
            included_quantity=row.included_quantity,
            effective_from=row.effective_from,
            scheme=row.scheme,
            tiers=tuple(_tier(written) for written in row.tiers or ()),
        )
        for row, name in rows
    ]


def list_holdings(session: Session, tenant_id: UUID) -> list[Holding]:
    """The plans that a tenant subscribed to, oldest first."""
    rows = session.scalars(
        select(Subscription).where(Subscription.tenant_id == tenant_id).order_by(Subscription.starts_at)
    )
    return [Holding(row.plan_code, row.starts_at, row.ends_at) for row in rows]


def current_plan(session: Session, tenant_id: UUID, at: datetime | None = None) -> Plan:
    """The plan that a tenant is on, at a moment or now."""
    return get_plan(session, plan_at(at or now(), list_holdings(session, tenant_id), DEFAULT_PLAN_CODE))


def held_plan_code(tenant_id: SQLColumnExpression[UUID], at: BindParameter[datetime]) -> ColumnElement[str]:
    """The SQL for the code of the plan that a tenant is on at a moment: for the API, which asks at every request."""
    held = (
        select(Subscription.plan_code)
        .where(
            Subscription.tenant_id == tenant_id,
            Subscription.starts_at <= at,
            or_(Subscription.ends_at.is_(None), Subscription.ends_at > at),
        )
        .order_by(Subscription.starts_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(held, DEFAULT_PLAN_CODE)


def current_prices(session: Session, plan_code: str, at: datetime | None = None) -> dict[PriceKind, Price]:
    """A plan's prices in force at a moment or now, by kind; raises NoPriceInForce where one is missing."""
    prices = list_prices(session)
    return {kind: price_at(at or now(), plan_code, kind, prices) for kind in PriceKind}


def subscribe(session: Session, tenant_id: UUID, plan_code: str, at: datetime | None = None) -> Subscription:
    """Put a tenant on a plan from a moment (now) on; the plan before it ends there.

    Wants an operator session, which the caller commits. Raises PlanError for an unknown plan or tenant, another
    tenant's contract, a plan in another currency, and a moment before the current plan's start or what was
    invoiced already.
    """
    plan = get_plan(session, plan_code)
    if plan.contract_tenant_id not in (None, tenant_id):
        raise PlanError(f"{plan.name} is another tenant's contract.")
    if session.scalar(select(Subscription.id).where(Subscription.tenant_id == tenant_id).limit(1)):
        hold_billing(session)  # who has no plan yet has used nothing that an invoice could charge
    at = at or now()
    # Locking the tenant's row lets two changes at once follow each other instead of overlapping.
    if session.scalar(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update()) is None:
        raise PlanError("There is no such tenant.")
    latest = session.scalar(
        select(Subscription)
        .where(Subscription.tenant_id == tenant_id)
        .order_by(Subscription.starts_at.desc())
        .limit(1)
    )
    if latest is not None:
        if latest.ends_at is None and latest.plan_code == plan.code:
            return latest
        if at <= latest.starts_at:
            raise PlanError(
                f"Choose a time after {latest.starts_at:%Y-%m-%d %H:%M} UTC: the last change was then."
            )
    # Until it subscribes, a tenant is on the default plan and may owe in that one's currency.
    held = get_plan(session, latest.plan_code if latest else DEFAULT_PLAN_CODE)
    if held.currency != plan.currency:
        raise PlanError("A tenant keeps its currency: choose a plan in the same one.")
    _refuse_invoiced_time(session, tenant_id, at)
    if latest is not None and (latest.ends_at is None or latest.ends_at > at):
        latest.ends_at = at
    subscription = Subscription(tenant_id=tenant_id, plan_code=plan.code, starts_at=at)
    session.add(subscription)
    session.flush()
    return subscription


def change_plan(
    session: Session, actor: Actor, tenant_id: UUID, plan_code: str, at: datetime | None = None
) -> Subscription:
    """`subscribe` by one of the operator's staff: noted in both logs. Raises PlanError as it does, and for a
    time in the past."""
    if at is not None and at < now():
        raise PlanError("A change of plan cannot lie in the past: what usage has cost stays as it was.")
    held = list_holdings(session, tenant_id)
    if held and held[-1].ends_at is None and held[-1].plan_code == plan_code:
        raise PlanError(f"It is on {get_plan(session, plan_code).name} already: choose another plan.")
    subscription = subscribe(session, tenant_id, plan_code, at)
    detail = {"plan": plan_code, "from": f"{subscription.starts_at:%Y-%m-%d %H:%M} UTC"}
    record_for_tenant(session, tenant_id, actor, "plan.changed", subscription, detail)
    record_staff(session, actor, "plan.changed", Tenant.__tablename__, tenant_id, detail)
    return subscription


def _tier(written: Mapping[str, Any]) -> Tier:
    return Tier(written["up_to"], Decimal(written["unit_amount"]), Decimal(written["flat_amount"]))


def _refuse_invoiced_time(session: Session, tenant_id: UUID, at: datetime) -> None:
    # An invoice can be made before its month is over: what follows it in that month is not invoiced yet.
    until = func.max(func.least(Invoice.period_end, Invoice.issued_at))
    invoiced_until = session.scalar(select(until).where(Invoice.tenant_id == tenant_id))
    if invoiced_until is not None and at < invoiced_until:
        raise PlanError(f"Usage up to {invoiced_until:%Y-%m-%d %H:%M} UTC is invoiced: choose a later time.")
