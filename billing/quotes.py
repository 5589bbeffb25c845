"""What a little more usage would cost a tenant now: the running month's quota, and then the price in force."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from billing.bills import tenant_bill
from billing.periods import Month
from billing.plans import current_plan, current_prices
from billing.rating import Price, Rated, rate
from core.clock import now
from core.models.billing import Plan, PriceKind


@dataclass(frozen=True)
class Quote:
    """A quantity rated as the ledger would rate it, were it used now; `quota_left` is what the plan still includes."""

    plan: Plan
    price: Price
    rated: Rated
    quota_left: int

    @property
    def currency(self) -> str:
        return self.plan.currency


def quote(
    session: Session, tenant_id: UUID, kind: PriceKind, quantity: int, at: datetime | None = None
) -> Quote:
    """Rate `quantity` more tokens of `kind` at a moment, or now. Raises NoPriceInForce, and ValueError below zero."""
    at = at or now()
    plan = current_plan(session, tenant_id, at)
    price = current_prices(session, plan.code, at)[kind]
    bill = tenant_bill(session, tenant_id, Month.containing(at))
    consumed = sum(line.rated.included_quantity for line in bill.lines if line.kind == kind and not line.late)
    return Quote(plan, price, rate(quantity, price, consumed), max(0, price.included_quantity - consumed))
