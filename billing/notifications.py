"""Notifications: what a tenant's admins and finance people are told by e-mail, and its systems by webhook.

A notification is a row, written in the transaction of what it tells of, and delivered at least once by a worker.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import mail, webhooks
from core.clock import now
from core.db import tenant_session
from core.models.notifications import Notification
from core.models.users import User
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.storage import tenant_key
from core.tenancy import Role, TenantScope, system_scope

log = structlog.get_logger(__name__)

DELIVER = "billing.notifications.deliver"
_TIMEOUT_SECONDS = 120
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360, 720))


class Event(StrEnum):
    """What notifications are about; the webhook's `type`."""

    BUDGET_THRESHOLD = "budget.threshold_reached"
    BUDGET_REFUSED = "budget.request_refused"
    PAST_DUE = "payment.past_due"
    SUSPENDED = "payment.suspended"
    REINSTATED = "payment.reinstated"
    DELETION_REQUESTED = "tenant.deletion_requested"
    DELETION_WITHDRAWN = "tenant.deletion_withdrawn"


def notify(
    session: Session,
    tenant_id: UUID,
    event: Event,
    reference: str,
    *,
    subject: str,
    body: str,
    payload: Mapping[str, Any],
    webhook_url: str | None = None,
) -> bool:
    """Tell the tenant's people, and `webhook_url`, once the caller has committed.

    `reference` makes it unique: False where the tenant was told already. `payload` is the webhook's data.
    """
    notification_id = session.scalar(
        insert(Notification)
        .values(
            id=uuid4(),
            tenant_id=tenant_id,
            event=event.value,
            reference=reference,
            subject=subject,
            body=body,
            payload=dict(payload),
            webhook_url=webhook_url,
            due_at=now(),
            attempts=0,
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "reference"])
        .returning(Notification.id)
    )
    if notification_id is None:
        return False
    _ring_after_commit(session, tenant_id, notification_id)
    return True


def requeue_due(session: Session) -> None:
    """Ring for notifications whose time has come. `session` is an operator session."""
    if rq_queue(Queue.BATCHES).is_empty():
        due = session.execute(
            select(Notification.tenant_id, Notification.id).where(Notification.due_at <= now())
        )
        for tenant_id, notification_id in due:
            _ring_after_commit(session, tenant_id, notification_id)


def deliver(tenant_id: str, notification_id: str) -> None:
    """Send what of a notification is not sent yet, if it is due; RQ's entry point."""
    scope = system_scope(UUID(tenant_id), "worker")
    with tenant_session(scope) as session:
        notification = session.get_one(Notification, UUID(notification_id), with_for_update=True)
        if notification.due_at is None or notification.due_at > now():
            return
        # The next attempt's time is noted before this one, which may be cut off.
        last = notification.attempts >= len(_WAITS)
        notification.due_at = None if last else now() + _WAITS[notification.attempts]
        notification.attempts += 1
        session.commit()
    context = log.bind(tenant_id=tenant_id, notification_id=notification_id)
    if notification.emailed_at is None:
        _send(scope, notification, "emailed_at", _email, context)
    if notification.webhook_url is not None and notification.webhook_sent_at is None:
        _send(scope, notification, "webhook_sent_at", _call_webhook, context)


def _send(scope: TenantScope, notification: Notification, column: str, send: Any, context: Any) -> None:
    """Try one way, and note that it went well; once all have, nothing is due any more."""
    try:
        send(scope, notification)
    except (mail.Undelivered, webhooks.Undelivered) as error:
        context.warning("notification_undelivered", way=column, reason=str(error))
        return
    with tenant_session(scope) as session:
        kept = session.get_one(Notification, notification.id, with_for_update=True)
        setattr(kept, column, now())
        if kept.emailed_at and (kept.webhook_sent_at or not kept.webhook_url):
            kept.due_at = None
        session.commit()


def _email(scope: TenantScope, notification: Notification) -> None:
    recipients = _recipients(scope)
    if recipients:
        mail.send(recipients, notification.subject, notification.body)


def _call_webhook(scope: TenantScope, notification: Notification) -> None:
    with tenant_session(scope) as session:
        secret = webhooks.signing_secret(tenant_key(session, scope.tenant_id))
    event = {
        "object": "event",
        "id": f"evt_{notification.id.hex}",
        "type": notification.event,
        "created_at": int(notification.created_at.timestamp()),
        "data": notification.payload,
    }
    webhooks.send(notification.webhook_url or "", event, secret)


def _recipients(scope: TenantScope) -> Sequence[str]:
    """The addresses of those who look after the money."""
    with tenant_session(scope) as session:
        return session.scalars(
            select(User.email)
            .where(User.role.in_((Role.ADMIN, Role.FINANCE)), User.deactivated_at.is_(None))
            .order_by(User.email)
        ).all()


def _ring_after_commit(session: Session, tenant_id: UUID, notification_id: UUID) -> None:
    enqueue_after_commit(
        session, Queue.BATCHES, DELIVER, str(tenant_id), str(notification_id), timeout=_TIMEOUT_SECONDS
    )
