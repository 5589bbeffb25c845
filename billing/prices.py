"""Changing prices: the next version of one, from a future moment on."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.locks import hold_billing
from billing.plans import DEFAULT_PLAN_CODE, PlanError, get_plan
from billing.rating import MONTHLY_KINDS, Tier
from core.audit import record_staff
from core.clock import now
from core.models.billing import Plan, PlanPrice, PriceKind, PriceScheme
from core.tenancy import Actor

_DECIMALS = 12
_LARGEST = Decimal(10**12)


@dataclass(frozen=True)
class PriceTerms:
    """What a price asks: cents for each unit beyond what is included, or tiers of them where it is not flat."""

    unit_amount: Decimal = Decimal(0)
    included_quantity: int = 0
    scheme: PriceScheme = PriceScheme.FLAT
    tiers: tuple[Tier, ...] = ()


def add_price(
    session: Session,
    actor: Actor,
    plan_code: str,
    kind: PriceKind,
    terms: PriceTerms,
    effective_from: datetime,
) -> PlanPrice:
    """Add the next version of a price, from a future moment on. No older version is touched.

    Wants an operator session, which the caller commits. Raises PlanError where it would change what usage has
    cost already, where that moment has a version, and for terms that make no sense.
    """
    plan = get_plan(session, plan_code)
    hold_billing(session)
    if effective_from <= now():
        raise PlanError("A new price takes effect in the future: what usage has cost stays as it was.")
    _check(plan, kind, terms)
    taken = select(PlanPrice.id).filter_by(plan_code=plan.code, kind=kind, effective_from=effective_from)
    if session.scalar(taken) is not None:
        raise PlanError(
            f"There is a {kind.replace('_', ' ')} price from {effective_from:%Y-%m-%d %H:%M} UTC on already."
        )
    price = PlanPrice(
        plan_code=plan.code,
        kind=kind,
        scheme=terms.scheme,
        unit_amount=terms.unit_amount,
        included_quantity=terms.included_quantity,
        tiers=[_written(tier) for tier in terms.tiers] or None,
        effective_from=effective_from,
    )
    session.add(price)
    session.flush()
    detail: dict[str, Any] = {
        "plan": plan.code,
        "kind": kind.value,
        "scheme": terms.scheme.value,
        "cents_per_unit": f"{terms.unit_amount:f}",
        "included_quantity": terms.included_quantity,
        "effective_from": f"{effective_from:%Y-%m-%d %H:%M} UTC",
    }
    if terms.tiers:
        detail["tiers"] = price.tiers
    record_staff(session, actor, "price.added", PlanPrice.__tablename__, price.id, detail)
    return price


def _check(plan: Plan, kind: PriceKind, terms: PriceTerms) -> None:
    amounts = [terms.unit_amount]
    for tier in terms.tiers:
        amounts += (tier.unit_amount, tier.flat_amount)
    if terms.included_quantity < 0 or not all(0 <= amount < _LARGEST for amount in amounts):
        raise PlanError("A price and a quota are zero or more, and a price below ten billion.")
    if any(amount != round(amount, _DECIMALS) for amount in amounts):
        raise PlanError(f"A price has at most {_DECIMALS} decimals of a cent.")
    if kind in MONTHLY_KINDS:
        _check_monthly(plan, kind, terms)
    elif terms.scheme is not PriceScheme.FLAT:
        _check_tiers(terms)
    elif terms.tiers:
        raise PlanError("A flat price has no tiers.")


def _check_monthly(plan: Plan, kind: PriceKind, terms: PriceTerms) -> None:
    title = "monthly fee" if kind is PriceKind.PLATFORM else "monthly minimum"
    if terms.included_quantity:
        raise PlanError(f"A {title} has no included quantity.")
    if terms.scheme is not PriceScheme.FLAT or terms.tiers:
        raise PlanError(f"A {title} has no tiers.")
    if plan.code == DEFAULT_PLAN_CODE and terms.unit_amount:
        raise PlanError(f"{plan.name} is what a tenant is on by itself: it cannot have a {title}.")


def _check_tiers(terms: PriceTerms) -> None:
    ends = [tier.up_to for tier in terms.tiers]
    if not ends or ends[-1] is not None:
        raise PlanError("The last tier has no end: it is for all that is beyond the others.")
    lower = 0
    for end in ends[:-1]:
        if end is None or end <= lower:
            raise PlanError("Each tier but the last ends above the one before.")
        lower = end
    if terms.unit_amount:
        raise PlanError("A price with tiers has its amounts in them.")
    if any(tier.flat_amount != int(tier.flat_amount) for tier in terms.tiers):
        raise PlanError("A tier's flat amount is in whole cents.")
    if terms.scheme is PriceScheme.VOLUME and terms.included_quantity:
        raise PlanError("A volume price is one price for all units: it has no included quantity.")
    # Stripe charges it in a month without usage, too.
    if terms.tiers[0].flat_amount and not terms.included_quantity:
        raise PlanError("A flat amount from the first unit on is a monthly fee: make it one.")


def _written(tier: Tier) -> dict[str, Any]:
    return {
        "up_to": tier.up_to,
        "unit_amount": f"{tier.unit_amount:f}",
        "flat_amount": f"{tier.flat_amount:f}",
    }
