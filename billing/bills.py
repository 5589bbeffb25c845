"""A tenant's bill for a month, straight from the ledger: its invoice, and until then its running cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from billing.late import late_lines
from billing.periods import Month
from billing.plans import DEFAULT_PLAN_CODE, get_plan
from billing.rating import Line, Price, clip, rate_minimum, rate_platform_fee, total_cents
from billing.schedule import plan_at
from billing.terms import Schedule, Terms, Used, load_terms, read_used
from core.models.billing import Plan, PriceKind


@dataclass(frozen=True)
class Bill:
    """What a tenant owes for a month, by the ledger as it stands."""

    month: Month
    plan: Plan
    lines: Sequence[Line]

    @property
    def currency(self) -> str:
        return self.plan.currency

    @property
    def total_cents(self) -> int:
        return total_cents(self.lines)


def tenant_bill(
    session: Session,
    tenant_id: UUID,
    month: Month,
    prices: Sequence[Price] | None = None,
    *,
    fee_until: datetime | None = None,
) -> Bill:
    """Rate a tenant's month: its fee and usage, and what is left to charge of months invoiced before.

    `prices` saves reading the catalogue again where many tenants are billed. `fee_until` leaves out the fee of
    the days that have not ended by then, and before the month's end its minimum; a later bill charges them.
    """
    terms = load_terms(session, tenant_id, prices)
    in_force = terms.schedule(month)
    return bill_of_usage(session, terms, in_force, read_used(session, tenant_id, in_force), fee_until)


def bill_of_usage(
    session: Session, terms: Terms, in_force: Schedule, used: Used, fee_until: datetime | None = None
) -> Bill:
    """The bill where the month's own usage was read already."""
    month = in_force.month
    until = month.end if fee_until is None else min(fee_until, month.end)
    lines = rate_month(in_force, used, until) + late_lines(session, terms, month)
    last_moment = month.end - timedelta(microseconds=1)
    return Bill(month, get_plan(session, plan_at(last_moment, terms.holdings, DEFAULT_PLAN_CODE)), lines)


def rate_month(in_force: Schedule, used: Used, until: datetime) -> list[Line]:
    """The month's own lines: the fee of the days that have ended by `until`, the usage, and what that is short of
    the month's minimum, if the month is over by then."""
    month = in_force.month
    fee = rate_platform_fee(month, clip(in_force.spans[PriceKind.PLATFORM], month.start, until))
    usage = in_force.rate_usage(used)
    if until < month.end:
        return fee + usage
    return fee + usage + rate_minimum(month, in_force.spans[PriceKind.MINIMUM], total_cents(usage))
