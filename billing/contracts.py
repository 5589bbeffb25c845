"""Contracts: a plan that is one tenant's own, with prices of its own."""

from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from billing.plans import PlanError, current_prices, get_plan
from core.audit import record_staff
from core.clock import now
from core.models.billing import Plan, PlanPrice
from core.models.tenants import Tenant
from core.tenancy import Actor

NAME_LENGTH = 80

_CODE_STEM = 27


def make_contract(session: Session, actor: Actor, tenant_id: UUID, plan_code: str, name: str) -> Plan:
    """Copy a plan of the catalogue, with its prices and limits as they are now, for one tenant.

    Its prices then change like any plan's, and the tenant is put on it like on any plan. No other tenant sees it.
    Wants an operator session, which the caller commits. Raises PlanError for an unknown tenant or plan, a plan that
    is a contract itself, and a name that is missing or too long.
    """
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH:
        raise PlanError(f"Name the contract, in 1 to {NAME_LENGTH} characters.")
    plan = get_plan(session, plan_code)
    if plan.contract_tenant_id is not None:
        raise PlanError(f"{plan.name} is a contract: copy a plan of the catalogue.")
    if session.get(Tenant, tenant_id) is None:
        raise PlanError("There is no such tenant.")
    contract = Plan(
        code=f"{plan.code[:_CODE_STEM]}-{uuid4().hex[:12]}",
        name=name,
        description=plan.description,
        currency=plan.currency,
        position=plan.position,
        requests_per_minute=plan.requests_per_minute,
        tokens_per_minute=plan.tokens_per_minute,
        grace_days=plan.grace_days,
        contract_tenant_id=tenant_id,
    )
    session.add(contract)
    session.flush()
    _copy_prices(session, plan, contract)
    detail = {"tenant": str(tenant_id), "copied_from": plan.code}
    record_staff(session, actor, "contract.made", Plan.__tablename__, contract.code, detail)
    return contract


def _copy_prices(session: Session, plan: Plan, contract: Plan) -> None:
    at = now()
    in_force = [
        session.get_one(PlanPrice, price.id) for price in current_prices(session, plan.code, at).values()
    ]
    session.add_all(
        PlanPrice(
            plan_code=contract.code,
            kind=price.kind,
            scheme=price.scheme,
            unit_amount=price.unit_amount,
            included_quantity=price.included_quantity,
            tiers=price.tiers,
            effective_from=at,
        )
        for price in in_force
    )
    session.flush()
