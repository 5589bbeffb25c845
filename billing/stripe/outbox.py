"""The outbox of usage: what Stripe's meters are to be told, by tenant, kind and UTC hour.

A report asks for what the ledger has of an hour beyond the reports so far. It is made when the hour is over, and again when a
later fact raised the hour. What a reversal took back no report can: the month's invoice adjusts for it. Once a month
is invoiced, reports only fill up to what the invoice has: later facts go on the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from billing.close import next_to_close
from billing.locks import hold_billing
from billing.periods import Month
from core import audit
from core.clock import now
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus
from core.models.stripe import ReportStatus, StripeCustomer, UsageReport
from core.models.tenants import Tenant
from core.models.usage import UsageFact, UsageKind
from core.tenancy import Actor

HOUR = timedelta(hours=1)
SETTLING = timedelta(minutes=5)
"""How long after an hour's end its report is made: facts of its last moments are committed by then."""

UNSETTLED = frozenset({ReportStatus.PENDING, ReportStatus.SENDING})

log = structlog.get_logger(__name__)


class ReportNotFound(LookupError):
    """There is no usage report of that id."""


class ReportStateError(Exception):
    """The report's status does not allow the change; the message says why, and is fit to show."""


@dataclass(frozen=True)
class HourBalance:
    """One kind's tokens of one hour: in the ledger, and on reports, in all and by what became of them."""

    kind: UsageKind
    hour: datetime
    used: int
    reported: int
    sent: int
    adjusted: int
    last_sequence: int

    @property
    def missing(self) -> int:
        """What is still to be reported; negative where a reversal took back what was."""
        return self.used - self.reported


def balances(session: Session, tenant_id: UUID, month: Month) -> list[HourBalance]:
    """A month's hours that have usage or reports, in order of kind and time."""
    used = _used(session, tenant_id, month)
    reports: dict[tuple[UsageKind, datetime], list[UsageReport]] = {}
    for report in session.scalars(
        select(UsageReport).where(
            UsageReport.tenant_id == tenant_id,
            UsageReport.hour >= month.start,
            UsageReport.hour < month.end,
        )
    ):
        reports.setdefault((report.kind, report.hour), []).append(report)
    return [
        _balance(kind, hour, used.get((kind, hour), 0), reports.get((kind, hour), ()))
        for kind, hour in sorted(used.keys() | reports.keys())
    ]


def _used(session: Session, tenant_id: UUID, month: Month) -> dict[tuple[UsageKind, datetime], int]:
    hour = func.date_trunc("hour", UsageFact.occurred_at, "UTC")
    rows = session.execute(
        select(UsageFact.kind, hour, func.sum(UsageFact.quantity))
        .where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.occurred_at >= month.start,
            UsageFact.occurred_at < month.end,
        )
        .group_by(UsageFact.kind, hour)
    )
    return {(kind, at.astimezone(UTC)): int(quantity) for kind, at, quantity in rows}


def _balance(kind: UsageKind, hour: datetime, used: int, reports: Sequence[UsageReport]) -> HourBalance:
    def total(*statuses: ReportStatus) -> int:
        return sum(report.quantity for report in reports if report.status in statuses)

    return HourBalance(
        kind=kind,
        hour=hour,
        used=used,
        reported=total(*ReportStatus),
        sent=total(ReportStatus.SENT),
        adjusted=total(ReportStatus.ADJUSTED),
        last_sequence=max((report.sequence for report in reports), default=0),
    )


def make_reports(session: Session, at: datetime | None = None) -> int:
    """Put into the outbox what Stripe has not been told yet; how many reports. The caller commits.

    Wants an operator session. It waits for a month that is being closed, so that no fact is reported in between
    that the invoice does not have.
    """
    hold_billing(session)
    at = at or now()
    turn = next_to_close(session)
    customers = session.scalars(
        select(StripeCustomer).where(
            StripeCustomer.subscription_id.is_not(None), StripeCustomer.collects_from.is_not(None)
        )
    ).all()
    made = 0
    for customer in customers:
        drafts = _drafts(session, customer.tenant_id)
        for month in _months(customer, turn, at, drafts):
            made += _report_month(session, customer, month, at, drafts.get(month))
    if made:
        log.info("usage_reports_made", reports=made)
    return made


def make_last_reports(session: Session, customer: StripeCustomer, draft: Invoice, at: datetime) -> int:
    """Put into the outbox what Stripe was not told yet of a month that is invoiced; how many. The caller commits."""
    hold_billing(session)
    return _report_month(session, customer, Month.containing(draft.period_start), at, draft)


def has_unsettled(session: Session, tenant_id: UUID, month: Month) -> bool:
    """Whether Stripe has not answered, or not been told, some report of a month."""
    found = session.scalar(
        select(UsageReport.id)
        .where(
            UsageReport.tenant_id == tenant_id,
            UsageReport.hour >= month.start,
            UsageReport.hour < month.end,
            UsageReport.status.in_(UNSETTLED),
        )
        .limit(1)
    )
    return found is not None


def _drafts(session: Session, tenant_id: UUID) -> dict[Month, Invoice]:
    rows = session.scalars(
        select(Invoice).where(Invoice.tenant_id == tenant_id, Invoice.status == InvoiceStatus.DRAFT)
    )
    return {Month.containing(invoice.period_start): invoice for invoice in rows}


def _months(
    customer: StripeCustomer, turn: Month, at: datetime, drafts: Mapping[Month, Invoice]
) -> list[Month]:
    """The months that Stripe can be told of: those that are open, and those whose invoice is a draft."""
    assert customer.collects_from is not None
    first = Month(customer.collects_from.year, customer.collects_from.month)
    months = {month for month in drafts if month >= first}
    month = max(first, turn)
    while month <= Month.containing(at):
        months.add(month)
        month = month.next
    return sorted(months)


def _report_month(
    session: Session, customer: StripeCustomer, month: Month, at: datetime, draft: Invoice | None
) -> int:
    hours = [
        hour
        for hour in balances(session, customer.tenant_id, month)
        if draft is not None or hour.hour + HOUR + SETTLING <= at
    ]
    room = _room(session, draft, customer, hours) if draft else None
    made = 0
    for hour in hours:
        if not is_counted(customer, hour.kind, hour.hour):
            continue
        quantity = hour.missing if room is None else min(hour.missing, room[hour.kind])
        if quantity <= 0:
            continue
        if room is not None:
            room[hour.kind] -= quantity
        sequence = hour.last_sequence + 1
        session.add(_new_report(customer.tenant_id, hour.kind, hour.hour, sequence, quantity, at))
        made += 1
    session.flush()
    return made


def is_counted(customer: StripeCustomer, kind: UsageKind, hour: datetime) -> bool:
    """Whether a customer's subscription counts an hour's usage of a kind."""
    since = (customer.counted_from or {}).get(kind)
    return since is not None and hour >= datetime.fromisoformat(since)


def _room(
    session: Session, draft: Invoice, customer: StripeCustomer, hours: Sequence[HourBalance]
) -> dict[UsageKind, int]:
    """How much more of each kind may be reported of a month that is invoiced."""
    room = invoiced_quantities(session, draft)
    for hour in hours:
        counted = is_counted(customer, hour.kind, hour.hour)
        room[hour.kind] -= min(hour.used, hour.reported) if counted else hour.used
    return room


def invoiced_quantities(session: Session, invoice: Invoice) -> dict[UsageKind, int]:
    """An invoice's tokens of its own month, by kind."""
    rows = session.execute(
        select(InvoiceLine.kind, func.sum(InvoiceLine.quantity))
        .where(
            InvoiceLine.tenant_id == invoice.tenant_id,
            InvoiceLine.invoice_id == invoice.id,
            InvoiceLine.usage_month == invoice.period_start.date(),
        )
        .group_by(InvoiceLine.kind)
    )
    found = {str(kind): int(quantity) for kind, quantity in rows}
    return {kind: found.get(kind, 0) for kind in UsageKind}


def _new_report(
    tenant_id: UUID, kind: UsageKind, hour: datetime, sequence: int, quantity: int, due_at: datetime
) -> UsageReport:
    return UsageReport(
        tenant_id=tenant_id,
        kind=kind,
        hour=hour,
        sequence=sequence,
        quantity=quantity,
        identifier=identifier(tenant_id, kind, hour, sequence),
        status=ReportStatus.PENDING,
        attempts=0,
        due_at=due_at,
    )


def identifier(tenant_id: UUID, kind: UsageKind, hour: datetime, sequence: int) -> str:
    """By which Stripe knows a report that it has had already."""
    return f"{tenant_id}-{kind}-{hour:%Y%m%dT%H}-{sequence}"


def renew(session: Session, report: UsageReport, due_at: datetime) -> None:
    """Make of a report that Stripe has not counted a new one, which it does not take for the old."""
    report.sequence = next_sequence(session, report)
    report.identifier = identifier(report.tenant_id, report.kind, report.hour, report.sequence)
    report.status, report.attempts = ReportStatus.PENDING, 0
    report.first_sent_at, report.due_at, report.error = None, due_at, None


def split(session: Session, report: UsageReport, missing: int, due_at: datetime) -> None:
    """Of a report that Stripe counted in part: what it counted is sent, and `missing` is reported anew."""
    sequence = next_sequence(session, report)
    session.add(_new_report(report.tenant_id, report.kind, report.hour, sequence, missing, due_at))
    report.quantity -= missing
    report.status, report.due_at = ReportStatus.SENT, None


def next_sequence(session: Session, report: UsageReport) -> int:
    """The number of an hour's next report."""
    last = session.scalar(select(func.max(UsageReport.sequence)).where(*of_same_hour(report)))
    return (last or 0) + 1


def of_same_hour(report: UsageReport) -> tuple[ColumnElement[bool], ...]:
    """The conditions for a report's hour and kind."""
    return (
        UsageReport.tenant_id == report.tenant_id,
        UsageReport.kind == report.kind,
        UsageReport.hour == report.hour,
    )


def reject(session: Session, key: str, error: str, at: datetime) -> bool:
    """Note that Stripe took a report, by its identifier, and then did not count it; False where none is such."""
    changed = session.scalars(
        update(UsageReport)
        .where(
            UsageReport.identifier == key,
            UsageReport.status.in_((ReportStatus.SENDING, ReportStatus.SENT)),
            UsageReport.first_sent_at <= at,
        )
        .values(status=ReportStatus.REJECTED, error=error, due_at=None)
        .returning(UsageReport.id)
    ).all()
    return bool(changed)


def retry(session: Session, actor: Actor, report_id: UUID, at: datetime | None = None) -> UsageReport:
    """Report again what Stripe rejected, once its cause is mended. The caller commits.

    Wants an operator session. Raises ReportNotFound; ReportStateError for a report that was not rejected.
    """
    report = _lock_rejected(session, report_id)
    before = report.identifier
    renew(session, report, at or now())
    _note(session, actor, "usage_report.retried", report, {"rejected": before})
    return report


def give_up(session: Session, actor: Actor, report_id: UUID) -> UsageReport:
    """Let an item on the invoice ask for what Stripe rejected. The caller commits. Raises as `retry`."""
    report = _lock_rejected(session, report_id)
    report.status, report.due_at = ReportStatus.ADJUSTED, None
    _note(session, actor, "usage_report.given_up", report, {})
    return report


def _lock_rejected(session: Session, report_id: UUID) -> UsageReport:
    report = session.scalar(select(UsageReport).where(UsageReport.id == report_id).with_for_update())
    if report is None:
        raise ReportNotFound(f"There is no usage report {report_id}.")
    if report.status is not ReportStatus.REJECTED:
        raise ReportStateError(f"The report is {report.status}: only a rejected one can change.")
    return report


def _note(
    session: Session, actor: Actor, action: str, report: UsageReport, detail: Mapping[str, str]
) -> None:
    detail = {"identifier": report.identifier, **detail}
    audit.record_staff(session, actor, action, UsageReport.__tablename__, report.id, detail)


def list_reports(
    session: Session, status: ReportStatus | None = None, limit: int = 200
) -> list[tuple[UsageReport, Tenant]]:
    """The outbox with its tenants, newest hour first. Wants an operator session."""
    query = select(UsageReport, Tenant).join(Tenant, Tenant.id == UsageReport.tenant_id)
    if status is not None:
        query = query.where(UsageReport.status == status)
    query = query.order_by(UsageReport.hour.desc(), UsageReport.kind, UsageReport.sequence.desc())
    return [(report, tenant) for report, tenant in session.execute(query.limit(limit))]


def count_reports(session: Session) -> dict[ReportStatus, int]:
    """How many reports there are of each status. Wants an operator session."""
    rows = session.execute(select(UsageReport.status, func.count()).group_by(UsageReport.status))
    counts = {status: int(count) for status, count in rows}
    return {status: counts.get(status, 0) for status in ReportStatus}
