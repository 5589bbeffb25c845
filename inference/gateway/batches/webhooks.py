"""Webhooks of batches: one that has ended says so to an address of its tenant's, at least once."""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import webhooks
from core.clock import now
from core.db import tenant_session
from core.models.batches import Batch
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.storage import tenant_key
from core.tenancy import system_scope
from core.webhooks import InvalidUrl, Undelivered, signing_secret
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.public_ids import Prefix, public_id

log = structlog.get_logger(__name__)

DELIVER = "inference.gateway.batches.webhooks.deliver"
FIELD = "webhook_url"
"""The name in a batch's metadata that gives the address."""

_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360))


def check_url(url: str) -> str:
    """`url`, if a webhook may go there. Raises ApiError."""
    try:
        return webhooks.check_url(url)
    except InvalidUrl:
        message = "metadata.webhook_url is not an address like https://app.example/hook."
        raise ApiError(
            400, ErrorType.INVALID_REQUEST, "invalid_body", message, param="metadata.webhook_url"
        ) from None


def ring_after_commit(session: Session, batch: Batch) -> None:
    """Have a worker deliver the batch's webhook once `session` has committed."""
    enqueue_after_commit(
        session,
        Queue.BATCHES,
        DELIVER,
        str(batch.tenant_id),
        str(batch.id),
        timeout=int(webhooks.SECONDS * 6),
    )


def requeue_due(session: Session) -> None:
    """Ring for webhooks whose time has come. `session` is an operator session."""
    if rq_queue(Queue.BATCHES).is_empty():
        for batch in session.scalars(select(Batch).where(Batch.webhook_due_at <= now())):
            ring_after_commit(session, batch)


def deliver(tenant_id: str, batch_id: str) -> None:
    """Send the batch's webhook, if it is due; RQ's entry point."""
    scope = system_scope(UUID(tenant_id), "worker")
    with tenant_session(scope) as session:
        batch = session.get_one(Batch, UUID(batch_id), with_for_update=True)
        if batch.webhook_due_at is None or batch.webhook_due_at > now() or batch.webhook_url is None:
            return
        # The next attempt's time is noted before this one, which may be cut off.
        last = batch.webhook_attempts >= len(_WAITS)
        batch.webhook_due_at = None if last else now() + _WAITS[batch.webhook_attempts]
        batch.webhook_attempts += 1
        secret = signing_secret(tenant_key(session, scope.tenant_id))
        session.commit()
    try:
        webhooks.send(batch.webhook_url, _event(batch), secret)
    except Undelivered as error:
        log.warning("webhook_undelivered", tenant_id=tenant_id, batch_id=batch_id, reason=str(error))
        return
    with tenant_session(scope) as session:
        session.get_one(Batch, batch.id).webhook_due_at = None
        session.commit()


def _event(batch: Batch) -> dict[str, object]:
    return {
        "object": "event",
        "id": f"evt_{batch.id.hex}",
        "type": f"batch.{batch.status.value}",
        "created_at": int((batch.finished_at or now()).timestamp()),
        "data": {"id": public_id(Prefix.BATCH, batch.id)},
    }
