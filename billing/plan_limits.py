"""How much a plan lets a tenant's API keys use a minute."""

from sqlalchemy.orm import Session

from billing.plans import PlanError, get_plan
from core.audit import record_staff
from core.models.billing import Plan
from core.tenancy import Actor


def change_limits(
    session: Session, actor: Actor, plan_code: str, *, requests_per_minute: int, tokens_per_minute: int
) -> Plan:
    """Set both limits, from the next request on: unlike prices they have no versions, as nothing is billed by them.

    Wants an operator session, which the caller commits. Raises PlanError for an unknown plan, and for less than 1.
    """
    plan = get_plan(session, plan_code)
    if requests_per_minute < 1 or tokens_per_minute < 1:
        raise PlanError("A plan allows at least one request and one token a minute.")
    detail = {
        "plan": plan.code,
        "requests_per_minute": f"{plan.requests_per_minute} to {requests_per_minute}",
        "tokens_per_minute": f"{plan.tokens_per_minute} to {tokens_per_minute}",
    }
    plan.requests_per_minute, plan.tokens_per_minute = requests_per_minute, tokens_per_minute
    record_staff(session, actor, "plan.limits_changed", Plan.__tablename__, plan.code, detail)
    return plan
