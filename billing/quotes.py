"""What a little more usage would cost a tenant now: the running month's quota, and then the price in force."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from billing.periods import Month
from billing.plans import current_plan
from billing.rating import Line, Price, Rated, by_span, rate_spans
from billing.schedule import price_at
from billing.terms import load_terms, read_used
from core.clock import now
from core.models.billing import Plan, PriceKind


@dataclass(frozen=True)
class Quote:
    """A quantity rated as the ledger would rate it, were it used now; `quota_left` is what the plan still includes.

    The amount is what the month's usage lines would grow by. A month that is below its minimum costs that anyway.
    """

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
    if quantity < 0:
        raise ValueError(f"A quantity cannot be negative: {quantity} units.")
    plan = current_plan(session, tenant_id, at)
    terms = load_terms(session, tenant_id)
    price = price_at(at, plan.code, kind, terms.prices)
    month = Month.containing(at)
    in_force = terms.schedule(month)
    spans, used = in_force.spans[kind], read_used(session, tenant_id, in_force)[kind]
    before = _sum(rate_spans(month, spans, by_span(spans, used)))
    after = _sum(rate_spans(month, spans, by_span(spans, [*used, (at, quantity)])))
    return Quote(plan, price, after - before, max(0, price.included_quantity - before.included_quantity))


def _sum(lines: list[Line]) -> Rated:
    return sum((line.rated for line in lines), Rated(0, 0, 0))
