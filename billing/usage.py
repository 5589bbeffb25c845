"""What a month has cost so far, by day, model and key: the bill's own lines, shared out to the cent.

Days share a line in the order of time, the included quota going to the first ones. Models and keys share it
in proportion to their tokens, as neither comes before the other.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.bills import USAGE_KINDS, Bill, Schedule, bill_of_usage, bucket_of, load_terms
from billing.csv_export import to_csv
from billing.periods import Month
from billing.rating import (
    Line,
    Price,
    by_span,
    project,
    rate_spans,
    spread_by_weight,
    spread_in_order,
    total_cents,
)
from core.clock import now
from core.models.api_keys import ApiKey
from core.models.billing import Invoice, InvoiceLine, PriceKind
from core.models.models import Model
from core.models.tenants import Tenant
from core.models.usage import UsageFact, UsageSource

_SHORTEST_PACE = timedelta(days=1)
"""A projection from less than a day would make a month of the first hour's try-out."""

_SERIES = 5
"""As many as a chart has colours that can be told apart."""

_CHAT = (PriceKind.CHAT_INPUT, PriceKind.CHAT_OUTPUT)

_WITHOUT_KEY = {
    UsageSource.API: "API",
    UsageSource.PLAYGROUND: "Playground",
    UsageSource.JOB: "Fine-tune jobs",
}

Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True)
class Share:
    """One day's, model's or key's part of a month."""

    name: str
    tokens: dict[PriceKind, int]
    requests: int
    cost_cents: int

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens.values())


@dataclass(frozen=True)
class Quota:
    """How much of the month's included tokens of one kind is used."""

    kind: PriceKind
    used: int
    included: int

    @property
    def share_used(self) -> float:
        """From 0 to 1, for a bar; the figures beside it are exact."""
        return min(1.0, self.used / self.included) if self.included else 1.0


@dataclass(frozen=True)
class Series:
    """A model's tokens of one kind on each day of the month, for the chart."""

    name: str
    tokens: Sequence[int]


@dataclass(frozen=True)
class MonthUsage:
    """A tenant's month: its bill as the ledger stands, and who used what.

    `upcoming` are versions of the plan's prices that begin later. `series` has the largest models of each kind.
    `invoiced_cents` is what the month's own invoice charges for the month itself.
    """

    bill: Bill
    in_force: Schedule
    upcoming: Sequence[Price]
    days: Sequence[Share]
    models: Sequence[Share]
    keys: Sequence[Share]
    series: Mapping[PriceKind, Sequence[Series]]
    quotas: Sequence[Quota]
    projected_cents: int | None
    invoice: Invoice | None
    invoiced_cents: int

    @property
    def month(self) -> Month:
        return self.bill.month

    @property
    def is_invoiced_whole(self) -> bool:
        """Whether nothing of the month came after its invoice, so that both show the same amount."""
        return self.invoice is None or self.fee_cents + self.usage_cents == self.invoiced_cents

    @property
    def tokens(self) -> dict[PriceKind, int]:
        return {kind: sum(day.tokens[kind] for day in self.days) for kind in USAGE_KINDS}

    @property
    def kinds(self) -> Sequence[PriceKind]:
        """The kinds worth a column: of chat only where there was any."""
        return [kind for kind in USAGE_KINDS if kind not in _CHAT or any(self.tokens[one] for one in _CHAT)]

    @property
    def is_empty(self) -> bool:
        return not any(day.requests for day in self.days)

    @property
    def fee_cents(self) -> int:
        return total_cents(
            line for line in self.bill.lines if line.kind == PriceKind.PLATFORM and not line.late
        )

    @property
    def late_cents(self) -> int:
        return total_cents(line for line in self.bill.lines if line.late)

    @property
    def usage_cents(self) -> int:
        """What the month's own usage costs: the sum of the days, of the models, and of the keys."""
        return self.bill.total_cents - self.fee_cents - self.late_cents


@dataclass(frozen=True)
class _Row:
    """Tokens of one kind on one day, by one model and key, while no price changed."""

    kind: PriceKind
    since: datetime
    day: date
    model_id: UUID | None
    key: UUID | UsageSource
    tokens: int
    requests: int


def month_usage(session: Session, tenant_id: UUID, month: Month, at: datetime | None = None) -> MonthUsage:
    """Read and rate a tenant's month; `at` is the moment to project from, and no more than that."""
    at = at or now()
    terms = load_terms(session, tenant_id)
    in_force = terms.schedule(month)
    rows = _read(session, tenant_id, in_force)
    used = {kind: [(row.since, row.tokens) for row in rows if row.kind is kind] for kind in USAGE_KINDS}
    bill = bill_of_usage(session, terms, in_force, used)
    own_lines = [line for line in bill.lines if line.kind in USAGE_KINDS and not line.late]

    names = _Names(session, tenant_id)
    by_day = _shares(rows, own_lines, lambda row: row.day, str, in_order=True)
    by_model = _shares(rows, own_lines, lambda row: row.model_id, names.model)
    invoice = session.scalar(
        select(Invoice).where(Invoice.tenant_id == tenant_id, Invoice.period_start == month.start)
    )
    by_key = _shares(rows, own_lines, lambda row: row.key, names.key)
    return MonthUsage(
        bill=bill,
        in_force=in_force,
        upcoming=[
            price
            for price in terms.prices
            if price.plan_code == bill.plan.code and price.effective_from > max(at, month.start)
        ],
        days=[by_day.get(day) or Share(str(day), dict.fromkeys(USAGE_KINDS, 0), 0, 0) for day in month.days],
        models=_largest_first(by_model.values()),
        keys=_largest_first(by_key.values()),
        series={
            kind: _series([row for row in rows if row.kind is kind], month, names) for kind in USAGE_KINDS
        },
        quotas=_quotas(in_force, used, at),
        projected_cents=_projected(session, tenant_id, bill, in_force, used, at),
        invoice=invoice,
        invoiced_cents=_own_cents(session, invoice) if invoice else 0,
    )


def _own_cents(session: Session, invoice: Invoice) -> int:
    """What an invoice charges for its own month, without what is left of earlier ones."""
    month = Month.containing(invoice.period_start)
    cents = session.scalar(
        select(func.sum(InvoiceLine.amount_cents)).where(
            InvoiceLine.tenant_id == invoice.tenant_id,
            InvoiceLine.invoice_id == invoice.id,
            InvoiceLine.usage_month == month.days[0],
        )
    )
    return int(cents or 0)


def months_with_usage(session: Session, tenant_id: UUID, at: datetime | None = None) -> list[Month]:
    """The months from a tenant's first usage up to now, newest first; the running one is always there."""
    running = Month.containing(at or now())
    first = session.scalar(select(func.min(UsageFact.occurred_at)).where(UsageFact.tenant_id == tenant_id))
    months = [running]
    while first is not None and months[-1].start > first:
        months.append(months[-1].previous)
    return months


def shares_csv(heading: str, shares: Iterable[Share]) -> str:
    """A table of shares as CSV; `heading` names the first column: day, model or key."""
    header = (heading, *(f"{kind}_tokens" for kind in USAGE_KINDS), "requests", "cost_cents")
    return to_csv(
        header,
        (
            (share.name, *(share.tokens[kind] for kind in USAGE_KINDS), share.requests, share.cost_cents)
            for share in shares
        ),
    )


def _read(session: Session, tenant_id: UUID, in_force: Schedule) -> list[_Row]:
    """The month's facts, summed as finely as any table of the page needs; in the order of time."""
    cuts = in_force.cuts
    bucket = bucket_of(cuts)
    day = func.date(func.timezone("UTC", UsageFact.occurred_at))
    groups = (UsageFact.kind, bucket, day, UsageFact.model_id, UsageFact.api_key_id, UsageFact.source)
    rows = session.execute(
        select(UsageFact.kind, bucket, day, UsageFact.model_id, UsageFact.api_key_id, UsageFact.source)
        .add_columns(func.sum(UsageFact.quantity), func.count().filter(UsageFact.counts_request()))
        .where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.occurred_at >= in_force.month.start,
            UsageFact.occurred_at < in_force.month.end,
        )
        .group_by(*groups)
        .order_by(day, UsageFact.model_id, UsageFact.api_key_id)
    )
    return [
        _Row(PriceKind(kind), cuts[number - 1], day_of, model_id, key_id or source, int(tokens), requests)
        for kind, number, day_of, model_id, key_id, source, tokens, requests in rows
    ]


def _shares(
    rows: Sequence[_Row],
    lines: Sequence[Line],
    group_of: Callable[[_Row], Group],
    name_of: Callable[[Group], str],
    *,
    in_order: bool = False,
) -> dict[Group, Share]:
    """Part the rows and the lines' cents among groups, which come in the order of their first row."""
    tokens: dict[Group, dict[PriceKind, int]] = defaultdict(lambda: dict.fromkeys(USAGE_KINDS, 0))
    requests: dict[Group, int] = defaultdict(int)
    for row in rows:
        tokens[group_of(row)][row.kind] += row.tokens
        requests[group_of(row)] += row.requests
    cost = dict.fromkeys(tokens, 0)
    for line in lines:
        weights = dict.fromkeys(tokens, 0)
        for row in rows:
            if row.kind == line.kind and line.span.start <= row.since < line.span.end:
                weights[group_of(row)] += row.tokens
        quantities = list(weights.values())
        cents = (
            spread_in_order(line.rated, line.unit_amount, quantities)
            if in_order
            else spread_by_weight(line.amount_cents, quantities)
        )
        for group, share in zip(weights, cents, strict=True):
            cost[group] += share
    return {group: Share(name_of(group), tokens[group], requests[group], cost[group]) for group in tokens}


def _largest_first(shares: Iterable[Share]) -> list[Share]:
    return sorted(shares, key=lambda share: (-share.cost_cents, -share.total_tokens, share.name))


def _series(rows: Sequence[_Row], month: Month, names: "_Names") -> list[Series]:
    """Each model's tokens by day, the largest first; the smallest of many are one."""
    by_model: dict[UUID | None, dict[date, int]] = defaultdict(lambda: dict.fromkeys(month.days, 0))
    for row in rows:
        by_model[row.model_id][row.day] += row.tokens
    series = [Series(names.model(model_id), list(days.values())) for model_id, days in by_model.items()]
    series.sort(key=lambda one: (-sum(one.tokens), one.name))
    if len(series) <= _SERIES:
        return series
    rest = [one.tokens for one in series[_SERIES - 1 :]]
    others = Series(f"{len(rest)} other models", [sum(tokens) for tokens in zip(*rest, strict=True)])
    return [*series[: _SERIES - 1], others]


def _quotas(
    in_force: Schedule, used: dict[PriceKind, list[tuple[datetime, int]]], at: datetime
) -> list[Quota]:
    """The quota of the price in force now, or at the month's end where it is over."""
    quotas = []
    for kind in USAGE_KINDS:
        spans = in_force.spans[kind]
        current = next((span for span in spans if span.start <= at < span.end), spans[-1])
        quotas.append(Quota(kind, sum(tokens for _, tokens in used[kind]), current.price.included_quantity))
    return quotas


def _projected(
    session: Session,
    tenant_id: UUID,
    bill: Bill,
    in_force: Schedule,
    used: dict[PriceKind, list[tuple[datetime, int]]],
    at: datetime,
) -> int | None:
    """The bill if the rest of a running month goes on at the pace so far; None for any other month."""
    month = bill.month
    if at not in month:
        return None
    since = max(month.start, session.get_one(Tenant, tenant_id).created_at)
    elapsed = max(at - since, _SHORTEST_PACE)
    lines = [line for line in bill.lines if line.late or line.kind == PriceKind.PLATFORM]
    for kind in USAGE_KINDS:
        spans = in_force.spans[kind]
        more = project(sum(tokens for _, tokens in used[kind]), elapsed, month.end - at)
        lines += rate_spans(month, spans, by_span(spans, [*used[kind], (at, more)]))
    return total_cents(lines)


class _Names:
    """What people call a tenant's models and keys."""

    def __init__(self, session: Session, tenant_id: UUID) -> None:
        self._models = {
            row.id: row.name
            for row in session.execute(select(Model.id, Model.name).where(Model.tenant_id == tenant_id))
        }
        self._keys = {
            row.id: f"{row.name} ({row.prefix}…)"
            for row in session.execute(
                select(ApiKey.id, ApiKey.name, ApiKey.prefix).where(ApiKey.tenant_id == tenant_id)
            )
        }

    def model(self, model_id: UUID | None) -> str:
        return self._models.get(model_id, "Unknown model") if model_id else "No model"

    def key(self, key: UUID | UsageSource) -> str:
        return _WITHOUT_KEY[key] if isinstance(key, UsageSource) else self._keys.get(key, "Unknown key")
