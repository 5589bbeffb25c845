"""How much all tenants together have used, by month and kind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.csv_export import to_csv
from billing.periods import Month
from billing.terms import USAGE_KINDS
from core.models.billing import PriceKind
from core.models.usage import UsageFact


@dataclass(frozen=True)
class MonthVolume:
    """A month's tokens of each kind, and from how many tenants they are."""

    month: Month
    tokens: Mapping[PriceKind, int]
    tenants: int


def volumes(session: Session, start: Month, end: Month) -> list[MonthVolume]:
    """The months `[start, end)` that have usage, in order. Wants an operator session."""
    month = func.date_trunc("month", UsageFact.occurred_at, "UTC")
    within = UsageFact.occurred_at >= start.start, UsageFact.occurred_at < end.start
    by_tenant = (
        select(
            month.label("month"),
            UsageFact.tenant_id,
            UsageFact.kind,
            func.sum(UsageFact.quantity).label("tokens"),
        )
        .where(*within)
        .group_by(month, UsageFact.tenant_id, UsageFact.kind)
        .subquery()
    )
    tokens: dict[Month, dict[PriceKind, int]] = {}
    tenants: dict[Month, set[object]] = {}
    for at, tenant_id, kind, quantity in session.execute(select(by_tenant)):
        of = Month.containing(at.astimezone(UTC))
        kinds = tokens.setdefault(of, dict.fromkeys(USAGE_KINDS, 0))
        kinds[PriceKind(kind)] += int(quantity)
        tenants.setdefault(of, set()).add(tenant_id)
    return [MonthVolume(of, tokens[of], len(tenants[of])) for of in sorted(tokens)]


def volumes_csv(found: Sequence[MonthVolume]) -> str:
    """Months as CSV, one a row, with the tokens of each kind."""
    header = ("month", "tenants", *(f"{kind}_tokens" for kind in USAGE_KINDS))
    rows: Iterator[Sequence[str | int]] = (
        (str(one.month), one.tenants, *(one.tokens[kind] for kind in USAGE_KINDS)) for one in found
    )
    return to_csv(header, rows)
