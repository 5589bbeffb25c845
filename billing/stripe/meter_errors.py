"""What Stripe's meters say afterwards: that usage which they took does not count."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from billing.stripe import outbox
from billing.stripe.client import StripeClient
from core.clock import now
from core.db import operator_session
from core.models.stripe import ReportStatus, UsageReport

_MARGIN = timedelta(minutes=10)
"""How far before and after the time that an error report speaks of, usage in it may have been sent."""

log = structlog.get_logger(__name__)


def take(client: StripeClient, event_id: str, at: datetime | None = None) -> None:
    """Mark the reports that an error report names as rejected, and doubt those sent with them where it names not all.

    Raises StripeUnavailable, StripeMissing.
    """
    at = at or now()
    event = client.get(f"/v2/core/events/{event_id}")
    data = event["data"]
    rejected = 0
    with operator_session("mark any tenant's usage reports that Stripe rejected") as session:
        for key, message in _samples(data):
            rejected += outbox.reject(session, _identifier(key), message, at)
        if data["reason"]["error_count"] > rejected:
            _doubt(session, data, at)
        session.commit()
    log.warning("usage_reports_rejected", reports=rejected, errors=data["reason"]["error_count"])


def _samples(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind in data["reason"]["error_types"]:
        for sample in kind["sample_errors"]:
            yield sample["request"]["identifier"], f"{sample['error_message']} ({kind['code']})"


def _identifier(key: str) -> str:
    """A report's identifier from its request's idempotency key, which has the attempt's number at its end."""
    return key.rpartition("/")[0] or key


def _doubt(session: Session, data: dict[str, Any], at: datetime) -> None:
    """Let the hours' summaries decide, a day later, about what was sent in that time: only samples have names."""
    since = datetime.fromisoformat(data["validation_start"]) - _MARGIN
    until = datetime.fromisoformat(data["validation_end"]) + _MARGIN
    session.execute(
        update(UsageReport)
        .where(
            UsageReport.status == ReportStatus.SENT,
            UsageReport.first_sent_at >= since,
            UsageReport.first_sent_at < until,
        )
        .values(status=ReportStatus.SENDING, due_at=at + timedelta(days=1))
    )
