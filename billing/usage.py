"""What a month has cost so far, by day, model, key and job: the bill's own lines, shared out to the cent."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.bills import Bill, bill_of_usage
from billing.forecast import Forecast, forecast
from billing.names import Names
from billing.periods import Month
from billing.rating import Line, Price, total_cents
from billing.shares import Share, UsageRow, costs_by_day, largest_first, share_out
from billing.terms import USAGE_KINDS, Schedule, Used, bucket_of, load_terms
from core.clock import now
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus, PriceKind
from core.models.tenants import Tenant
from core.models.usage import UsageFact

_SERIES = 5
"""As many as a chart has colours that can be told apart."""

_CHAT = (PriceKind.CHAT_INPUT, PriceKind.CHAT_OUTPUT)


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
    `jobs` are the fine-tunes, which share what training costs. `day_costs` parts each day's cents by kind.
    `forecast` is there while the month runs.
    `invoiced_cents` is what the month's own invoice charges for the month itself.
    """

    bill: Bill
    in_force: Schedule
    upcoming: Sequence[Price]
    days: Sequence[Share]
    models: Sequence[Share]
    keys: Sequence[Share]
    jobs: Sequence[Share]
    series: Mapping[PriceKind, Sequence[Series]]
    quotas: Sequence[Quota]
    day_costs: Mapping[PriceKind, Sequence[int]]
    forecast: Forecast | None
    invoice: Invoice | None
    invoiced_cents: int

    @property
    def month(self) -> Month:
        return self.bill.month

    @property
    def is_invoiced_whole(self) -> bool:
        """Whether nothing of the month came after its invoice, so that both show the same amount."""
        return self.invoice is None or self.bill.total_cents - self.late_cents == self.invoiced_cents

    @property
    def projected_cents(self) -> int | None:
        """The bill if the rest of a running month goes on at the pace so far; None for any other month."""
        return self.forecast.total_cents if self.forecast else None

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
        return total_cents(line for line in self._own_lines if line.kind == PriceKind.PLATFORM)

    @property
    def minimum_cents(self) -> int:
        """What the month's usage is short of the least that it costs."""
        return total_cents(line for line in self._own_lines if line.kind == PriceKind.MINIMUM)

    @property
    def usage_cents(self) -> int:
        """What the month's own usage costs: the sum of the days, of the models, and of the keys."""
        return total_cents(line for line in self._own_lines if line.kind in USAGE_KINDS)

    @property
    def late_cents(self) -> int:
        return total_cents(line for line in self.bill.lines if line.late)

    @property
    def _own_lines(self) -> Sequence[Line]:
        return [line for line in self.bill.lines if not line.late]


def month_usage(session: Session, tenant_id: UUID, month: Month, at: datetime | None = None) -> MonthUsage:
    """Read and rate a tenant's month; `at` is the moment to project from, and no more than that."""
    at = at or now()
    terms = load_terms(session, tenant_id)
    in_force = terms.schedule(month)
    rows = _read(session, tenant_id, in_force)
    used = {kind: [(row.since, row.tokens) for row in rows if row.kind is kind] for kind in USAGE_KINDS}
    bill = bill_of_usage(session, terms, in_force, used)
    own_lines = [line for line in bill.lines if line.kind in USAGE_KINDS and not line.late]

    names = Names(session, tenant_id)
    by_day = share_out(rows, own_lines, lambda row: row.day, str, in_order=True)
    by_model = share_out(rows, own_lines, lambda row: row.model_id, names.model)
    by_key = share_out(rows, own_lines, lambda row: row.key, names.key)
    training = [line for line in own_lines if line.kind == PriceKind.TRAINING]
    by_job = share_out(
        [row for row in rows if row.kind is PriceKind.TRAINING], training, lambda row: row.job_id, names.job
    )
    invoice = session.scalar(
        select(Invoice).where(
            Invoice.tenant_id == tenant_id,
            Invoice.period_start == month.start,
            Invoice.status != InvoiceStatus.DRAFT,
        )
    )
    return MonthUsage(
        bill=bill,
        in_force=in_force,
        upcoming=[
            price
            for price in terms.prices
            if price.plan_code == bill.plan.code and price.effective_from > max(at, month.start)
        ],
        days=[by_day.get(day) or Share(str(day), dict.fromkeys(USAGE_KINDS, 0), 0, 0) for day in month.days],
        models=largest_first(by_model.values()),
        keys=largest_first(by_key.values()),
        jobs=largest_first(by_job.values()),
        series={
            kind: _series([row for row in rows if row.kind is kind], month, names) for kind in USAGE_KINDS
        },
        quotas=_quotas(in_force, used, at),
        day_costs={
            kind: costs_by_day(
                month.days,
                [row for row in rows if row.kind is kind],
                [line for line in own_lines if line.kind == kind],
            )
            for kind in USAGE_KINDS
        },
        forecast=forecast(bill, in_force, rows, session.get_one(Tenant, tenant_id).created_at, at)
        if at in month
        else None,
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


def _read(session: Session, tenant_id: UUID, in_force: Schedule) -> list[UsageRow]:
    """The month's facts, summed as finely as any table of the page needs; in the order of time."""
    cuts = in_force.cuts
    bucket = bucket_of(cuts)
    day = func.date(func.timezone("UTC", UsageFact.occurred_at))
    groups = (
        UsageFact.kind,
        bucket,
        day,
        UsageFact.model_id,
        UsageFact.api_key_id,
        UsageFact.source,
        UsageFact.job_id,
    )
    rows = session.execute(
        select(*groups, func.sum(UsageFact.quantity), UsageFact.request_count())
        .where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.occurred_at >= in_force.month.start,
            UsageFact.occurred_at < in_force.month.end,
        )
        .group_by(*groups)
        .order_by(day, UsageFact.model_id, UsageFact.api_key_id, UsageFact.job_id)
    )
    return [
        UsageRow(
            kind=PriceKind(kind),
            since=cuts[number - 1],
            day=day_of,
            model_id=model_id,
            key=key_id or source,
            job_id=job_id,
            tokens=int(tokens),
            requests=int(requests),
        )
        for kind, number, day_of, model_id, key_id, source, job_id, tokens, requests in rows
    ]


def _series(rows: Sequence[UsageRow], month: Month, names: Names) -> list[Series]:
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


def _quotas(in_force: Schedule, used: Used, at: datetime) -> list[Quota]:
    """The quota of the price in force now, or at the month's end where it is over."""
    quotas = []
    for kind in USAGE_KINDS:
        spans = in_force.spans[kind]
        current = next((span for span in spans if span.start <= at < span.end), spans[-1])
        quotas.append(Quota(kind, sum(tokens for _, tokens in used[kind]), current.price.included_quantity))
    return quotas
