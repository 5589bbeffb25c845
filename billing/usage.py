"""What a month has cost so far, by day, model, key and job: the bill's own lines, shared out to the cent."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.bills import Bill, bill_of_usage, rate_month
from billing.periods import Month
from billing.rating import Line, Price, project, total_cents
from billing.shares import Share, UsageRow, largest_first, share_out
from billing.terms import USAGE_KINDS, Schedule, Used, bucket_of, load_terms
from core.clock import now
from core.models.api_keys import ApiKey
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus, PriceKind
from core.models.fine_tune_jobs import FineTuneJob
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
    `jobs` are the fine-tunes, which share what training costs.
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
    projected_cents: int | None
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

    names = _Names(session, tenant_id)
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


def _series(rows: Sequence[UsageRow], month: Month, names: "_Names") -> list[Series]:
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


def _projected(
    session: Session, tenant_id: UUID, bill: Bill, in_force: Schedule, used: Used, at: datetime
) -> int | None:
    """The bill if the rest of a running month goes on at the pace so far; None for any other month."""
    month = bill.month
    if at not in month:
        return None
    since = max(month.start, session.get_one(Tenant, tenant_id).created_at)
    elapsed = max(at - since, _SHORTEST_PACE)
    by_then = {
        kind: [*rows, (at, project(sum(tokens for _, tokens in rows), elapsed, month.end - at))]
        for kind, rows in used.items()
    }
    late = [line for line in bill.lines if line.late]
    return total_cents([*rate_month(in_force, by_then, month.end), *late])


class _Names:
    """What people call a tenant's models, keys and fine-tunes."""

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

        self._jobs = {
            row.id: f"{self.model(row.model_id)}, {row.queued_at:%-d %b %Y %H:%M}"
            for row in session.execute(
                select(FineTuneJob.id, FineTuneJob.model_id, FineTuneJob.queued_at).where(
                    FineTuneJob.tenant_id == tenant_id
                )
            )
        }

    def model(self, model_id: UUID | None) -> str:
        return self._models.get(model_id, "Unknown model") if model_id else "No model"

    def key(self, key: UUID | UsageSource) -> str:
        return _WITHOUT_KEY[key] if isinstance(key, UsageSource) else self._keys.get(key, "Unknown key")

    def job(self, job_id: UUID | None) -> str:
        return self._jobs.get(job_id, "Unknown fine-tune") if job_id else "No fine-tune"
