"""Plans, their versioned prices, and which plan a tenant is on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BindParameter, ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import insert
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

CURRENCY = "USD"

_LAUNCH = datetime(2020, 1, 1, tzinfo=UTC)
_MILLION = 1_000_000


class PlanError(Exception):
    """A plan or a price cannot be changed as asked; the message says why, and is fit to show."""


@dataclass(frozen=True)
class _CataloguePlan:
    """A plan as first offered: fee in cents a month, prices in cents a million tokens, quotas in tokens."""

    code: str
    name: str
    description: str
    monthly_fee: int
    prediction: str
    prediction_included: int
    training: str
    training_included: int
    chat_input: str
    chat_input_included: int
    chat_output: str
    chat_output_included: int
    requests_per_minute: int
    tokens_per_minute: int

    def prices(self) -> list[tuple[PriceKind, Decimal, int]]:
        return [
            (PriceKind.PLATFORM, Decimal(self.monthly_fee), 0),
            (PriceKind.MINIMUM, Decimal(0), 0),
            (PriceKind.PREDICTION, Decimal(self.prediction) / _MILLION, self.prediction_included),
            (PriceKind.TRAINING, Decimal(self.training) / _MILLION, self.training_included),
            (PriceKind.CHAT_INPUT, Decimal(self.chat_input) / _MILLION, self.chat_input_included),
            (PriceKind.CHAT_OUTPUT, Decimal(self.chat_output) / _MILLION, self.chat_output_included),
        ]


_CATALOGUE = (
    _CataloguePlan(
        "trial",
        "Free trial",
        "No monthly fee: a first model and its first answers are included.",
        monthly_fee=0,
        prediction="40",
        prediction_included=100_000,
        training="200",
        training_included=500_000,
        chat_input="60",
        chat_input_included=200_000,
        chat_output="240",
        chat_output_included=100_000,
        requests_per_minute=600,
        tokens_per_minute=250_000,
    ),
    _CataloguePlan(
        "pay-as-you-go",
        "Pay as you go",
        "No monthly fee and nothing included: every token has its price.",
        monthly_fee=0,
        prediction="40",
        prediction_included=0,
        training="400",
        training_included=0,
        chat_input="60",
        chat_input_included=0,
        chat_output="240",
        chat_output_included=0,
        requests_per_minute=3000,
        tokens_per_minute=1_000_000,
    ),
    _CataloguePlan(
        "starter",
        "Starter",
        "One team with a few models in production.",
        monthly_fee=29_00,
        prediction="30",
        prediction_included=10 * _MILLION,
        training="150",
        training_included=5 * _MILLION,
        chat_input="45",
        chat_input_included=5 * _MILLION,
        chat_output="180",
        chat_output_included=2 * _MILLION,
        requests_per_minute=3000,
        tokens_per_minute=1_000_000,
    ),
    _CataloguePlan(
        "scale",
        "Scale",
        "Many models and steady traffic, at half the price a token.",
        monthly_fee=299_00,
        prediction="15",
        prediction_included=200 * _MILLION,
        training="75",
        training_included=100 * _MILLION,
        chat_input="22",
        chat_input_included=100 * _MILLION,
        chat_output="90",
        chat_output_included=40 * _MILLION,
        requests_per_minute=12_000,
        tokens_per_minute=10_000_000,
    ),
)


def ensure_plans(session: Session) -> None:
    """Add what is missing of the first catalogue; what is there, and staff may have changed, stays as it is.

    Wants an operator session, which the caller commits.
    """
    for position, plan in enumerate(_CATALOGUE, start=1):
        session.execute(
            insert(Plan)
            .values(
                code=plan.code,
                name=plan.name,
                description=plan.description,
                currency=CURRENCY,
                position=position,
                requests_per_minute=plan.requests_per_minute,
                tokens_per_minute=plan.tokens_per_minute,
            )
            .on_conflict_do_nothing()
        )
        for kind, unit_amount, included in plan.prices():
            session.execute(
                insert(PlanPrice)
                .values(
                    id=uuid4(),
                    plan_code=plan.code,
                    kind=kind,
                    unit_amount=unit_amount,
                    included_quantity=included,
                    effective_from=_LAUNCH,
                )
                .on_conflict_do_nothing(index_elements=["plan_code", "kind", "effective_from"])
            )


def list_plans(session: Session) -> Sequence[Plan]:
    """The plans on offer, in their order."""
    return session.scalars(select(Plan).order_by(Plan.position, Plan.code)).all()


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


def held_plan_code(tenant_id: ColumnElement[UUID], at: BindParameter[datetime]) -> ColumnElement[str]:
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

    Wants an operator session, which the caller commits. Raises PlanError for an unknown plan or tenant, a
    plan in another currency, and a moment before the current plan's start or what was invoiced already.
    """
    plan = get_plan(session, plan_code)
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


def add_price(
    session: Session,
    actor: Actor,
    plan_code: str,
    kind: PriceKind,
    unit_amount: Decimal,
    included_quantity: int,
    effective_from: datetime,
) -> PlanPrice:
    """Add the next version of a price: cents a unit, from a future moment on. No older version is touched.

    Wants an operator session, which the caller commits. Raises PlanError where it would change what usage has
    cost already, or where that moment has a version.
    """
    plan = get_plan(session, plan_code)
    hold_billing(session)
    if effective_from <= now():
        raise PlanError("A new price takes effect in the future: what usage has cost stays as it was.")
    if unit_amount < 0 or included_quantity < 0:
        raise PlanError("A price and a quota are zero or more.")
    if kind is PriceKind.PLATFORM and included_quantity:
        raise PlanError("A monthly fee has no included quantity.")
    if kind is PriceKind.PLATFORM and plan.code == DEFAULT_PLAN_CODE and unit_amount:
        raise PlanError(f"{plan.name} is what a tenant is on by itself: it cannot have a monthly fee.")
    taken = select(PlanPrice.id).filter_by(plan_code=plan.code, kind=kind, effective_from=effective_from)
    if session.scalar(taken) is not None:
        raise PlanError(
            f"There is a {kind.replace('_', ' ')} price from {effective_from:%Y-%m-%d %H:%M} UTC on already."
        )
    price = PlanPrice(
        plan_code=plan.code,
        kind=kind,
        unit_amount=unit_amount,
        included_quantity=included_quantity,
        effective_from=effective_from,
    )
    session.add(price)
    session.flush()
    record_staff(
        session,
        actor,
        "price.added",
        PlanPrice.__tablename__,
        price.id,
        {
            "plan": plan.code,
            "kind": kind.value,
            "cents_per_unit": str(unit_amount),
            "included_quantity": included_quantity,
            "effective_from": f"{effective_from:%Y-%m-%d %H:%M} UTC",
        },
    )
    return price


def _tier(written: Mapping[str, Any]) -> Tier:
    return Tier(written["up_to"], Decimal(written["unit_amount"]), Decimal(written["flat_amount"]))


def _refuse_invoiced_time(session: Session, tenant_id: UUID, at: datetime) -> None:
    # An invoice can be made before its month is over: what follows it in that month is not invoiced yet.
    until = func.max(func.least(Invoice.period_end, Invoice.issued_at))
    invoiced_until = session.scalar(select(until).where(Invoice.tenant_id == tenant_id))
    if invoiced_until is not None and at < invoiced_until:
        raise PlanError(f"Usage up to {invoiced_until:%Y-%m-%d %H:%M} UTC is invoiced: choose a later time.")
