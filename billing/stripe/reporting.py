"""Sending the outbox: one call in flight for each customer and meter, and no token counted twice.

A report is marked as being sent before the call. Where its outcome is not known it is sent again with the same identifier
while Stripe remembers that one; later the hour's summary says what was counted, and only the rest is sent.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.stripe import outbox
from billing.stripe.catalogue_sync import (
    CUSTOMER_KEY,
    VALUE_KEY,
    NotAtStripe,
    StripeType,
    event_name,
    get_stripe_id,
)
from billing.stripe.client import StripeClient, StripeRefused, StripeUnavailable
from billing.stripe.deadlines import Deadline, never
from billing.stripe.locks import held
from core.clock import now
from core.db import operator_session
from core.models.stripe import ReportStatus, StripeCustomer, UsageReport
from core.models.usage import UsageKind

REMEMBERED = timedelta(hours=23)
"""An hour less than Stripe remembers an identifier, for clocks that differ and calls that take long."""

OLDEST = timedelta(days=35) - timedelta(hours=1)
"""An hour less than the age at which Stripe refuses usage."""

_UNANSWERED = 3
"""After so many meters in a row, Stripe is away, and the rest would only wait for it one by one."""

_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)

log = structlog.get_logger(__name__)


def send_due(
    client: StripeClient,
    at: datetime | None = None,
    *,
    tenant_id: UUID | None = None,
    is_over: Deadline = never,
) -> None:
    """Send every report whose time has come, or one tenant's, in order by customer and meter.

    No meter is begun once time `is_over`, or when Stripe did not answer for some of them in a row.
    """
    at = at or now()
    query = select(UsageReport.tenant_id, UsageReport.kind).where(UsageReport.due_at <= at).distinct()
    if tenant_id is not None:
        query = query.where(UsageReport.tenant_id == tenant_id)
    with operator_session("find every tenant's usage reports that are due") as session:
        meters = session.execute(query).all()
    unanswered = 0
    for owner_id, kind in meters:
        if is_over() or unanswered == _UNANSWERED:
            return
        unanswered = 0 if _send_meter(client, owner_id, kind, at) else unanswered + 1


def _send_meter(client: StripeClient, tenant_id: UUID, kind: UsageKind, at: datetime) -> bool:
    """Send a meter's reports until one has to wait; False where Stripe did not answer."""
    with held(f"meter:{tenant_id}:{kind}") as is_held:
        while is_held and (report_id := _find_next(tenant_id, kind, at)):
            if not _settle(client, report_id, at):
                return False
    return True


def _find_next(tenant_id: UUID, kind: UsageKind, at: datetime) -> UUID | None:
    """The earliest report that is not settled; None while it waits, and with it those behind."""
    with operator_session("send a tenant's usage reports in order") as session:
        report = session.scalars(
            select(UsageReport)
            .where(
                UsageReport.tenant_id == tenant_id,
                UsageReport.kind == kind,
                UsageReport.status.in_(outbox.UNSETTLED),
            )
            .order_by(UsageReport.hour, UsageReport.sequence)
            .limit(1)
        ).first()
        return report.id if report and report.due_at and report.due_at <= at else None


def _settle(client: StripeClient, report_id: UUID, at: datetime) -> bool:
    """Bring one report as far as it goes now; False where Stripe cannot be reached."""
    with operator_session("mark a usage report as being sent") as session:
        report = _lock(session, report_id)
        customer = _customer(session, report.tenant_id)
        unknown = report.status is ReportStatus.SENDING
        remembered = report.first_sent_at is not None and at - report.first_sent_at < REMEMBERED
        too_old = at - report.hour > OLDEST
        if not unknown and too_old:
            report.status, report.due_at = ReportStatus.ADJUSTED, None
            session.commit()
            return True
        _begin(report, at)
        session.commit()
    try:
        if unknown and (too_old or not remembered):
            return _settle_by_summary(client, report, customer, at, too_old=too_old)
        return _send(client, report, customer)
    except (StripeRefused, NotAtStripe) as problem:
        _write(report_id, ReportStatus.REJECTED, str(problem))
        return True
    except StripeUnavailable as problem:
        log.warning("usage_report_unanswered", report=str(report_id), attempts=report.attempts)
        _write(report_id, ReportStatus.SENDING, str(problem), keeps_due=True)
        return False


def _begin(report: UsageReport, at: datetime) -> None:
    report.status = ReportStatus.SENDING
    report.first_sent_at = report.first_sent_at or at
    report.attempts += 1
    report.due_at = at + min(_FIRST_WAIT * 2 ** min(report.attempts - 1, 10), _LONGEST_WAIT)


def _send(client: StripeClient, report: UsageReport, customer_id: str) -> bool:
    # A new key for each attempt: Stripe would answer an old one with the failure that it kept. The identifier is
    # what makes it count once.
    key = f"{report.identifier}/{report.attempts}"
    params = {
        "event_name": event_name(report.kind),
        "identifier": report.identifier,
        "timestamp": int(report.hour.timestamp()),
        "payload": {CUSTOMER_KEY: customer_id, VALUE_KEY: str(report.quantity)},
    }
    try:
        client.post("/v1/billing/meter_events", params, key=key)
    except StripeRefused as problem:
        status = _after_refusal(problem)
        if status is not ReportStatus.SENT:
            log.warning("usage_report_refused", report=str(report.id), code=problem.code)
            _write(report.id, status, str(problem))
            return True
    _write(report.id, ReportStatus.SENT)
    return True


def _after_refusal(problem: StripeRefused) -> ReportStatus:
    if problem.param == "identifier" or "already exists with identifier" in str(problem):
        return ReportStatus.SENT  # an attempt whose answer was lost
    if problem.code == "timestamp_too_far_in_past":
        return ReportStatus.ADJUSTED
    return ReportStatus.REJECTED


def _settle_by_summary(
    client: StripeClient, report: UsageReport, customer_id: str, at: datetime, *, too_old: bool
) -> bool:
    """Ask what Stripe counted of the hour, and go on from there."""
    with operator_session("read what Stripe calls a kind's meter") as session:
        meter = get_stripe_id(session, StripeType.METER, report.kind)
    counted = counted_in_hour(client, meter, customer_id, report.hour)
    with operator_session("settle a usage report by what Stripe counted") as session:
        report = _lock(session, report.id)
        sent = session.scalar(
            select(func.coalesce(func.sum(UsageReport.quantity), 0)).where(
                *outbox.of_same_hour(report), UsageReport.status == ReportStatus.SENT
            )
        )
        missing = min(report.quantity, int(sent or 0) + report.quantity - counted)
        if report.status is not ReportStatus.SENDING:
            return True  # an error report came meanwhile
        if missing <= 0:
            report.status, report.due_at, report.error = ReportStatus.SENT, None, None
        elif missing < report.quantity:
            outbox.split(session, report, missing, at)
        elif too_old:
            report.status, report.due_at = ReportStatus.ADJUSTED, None
        else:
            outbox.renew(session, report, at)
        session.commit()
    return True


def counted_in_hour(client: StripeClient, meter_id: str, customer_id: str, hour: datetime) -> int:
    """What a meter counted for a customer in the UTC hour that begins at `hour`."""
    start = int(hour.timestamp())
    params = {"customer": customer_id, "start_time": start, "end_time": start + 3600}
    summaries = client.each(f"/v1/billing/meters/{meter_id}/event_summaries", params)
    return sum(int(summary["aggregated_value"]) for summary in summaries)


def _write(
    report_id: UUID, status: ReportStatus, error: str | None = None, *, keeps_due: bool = False
) -> None:
    """Note the outcome, unless an error report was quicker."""
    with operator_session("note what became of a usage report") as session:
        report = _lock(session, report_id)
        if report.status is ReportStatus.SENDING:
            report.status, report.error = status, error
            if not keeps_due:
                report.due_at = None
            session.commit()


def _lock(session: Session, report_id: UUID) -> UsageReport:
    return session.scalars(select(UsageReport).where(UsageReport.id == report_id).with_for_update()).one()


def _customer(session: Session, tenant_id: UUID) -> str:
    return session.scalars(
        select(StripeCustomer.customer_id).where(StripeCustomer.tenant_id == tenant_id)
    ).one()
