"""Batches as they are asked for: start one, find it, cancel it. What a worker does with it is in runner.py."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import now
from core.models.batches import UNFINISHED, Batch, BatchStatus
from core.models.files import ApiFile
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.tenancy import Endpoint, Permission, TenantScope
from inference.gateway.batches import webhooks
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.public_ids import Prefix, find_row_id

RUN = "inference.gateway.batches.runner.run_batch"
STALE = timedelta(minutes=3)
"""A worker that has not been heard of for so long is taken for dead. Longer than a line's claim lasts."""

ENDPOINTS: Mapping[str, Endpoint] = {
    "/v1/chat/completions": Endpoint.CHAT,
    "/v1/embeddings": Endpoint.EMBEDDINGS,
    "/v1/classify": Endpoint.CLASSIFY,
    "/v1/tag": Endpoint.TAG,
}
"""What lines may be asked by, and what a key must be allowed for it."""

WINDOW = timedelta(hours=24)
MOST_UNFINISHED = 20
"""As many batches of a tenant may wait or run at once."""

_RUN_SECONDS = 26 * 3600


def start_batch(
    session: Session,
    scope: TenantScope,
    *,
    file: ApiFile,
    endpoint: str,
    window: str,
    metadata: Mapping[str, str] | None,
    api_key_id: UUID,
) -> Batch:
    """Queue a batch over `file`. The caller commits. Raises ApiError where too many have not ended, and for a webhook
    that cannot be sent."""
    scope.require(Permission.DATASETS_WRITE)
    scope.require(Permission.PREDICT)
    scope.reach.require(ENDPOINTS[endpoint])
    count = session.scalar(select(func.count()).select_from(Batch).where(Batch.status.in_(UNFINISHED))) or 0
    if count >= MOST_UNFINISHED:
        message = f"{count} of your batches have not ended. Cancel some, or wait until one has."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "too_many_batches", message)
    batch = Batch(
        id=uuid4(),
        tenant_id=scope.tenant_id,
        input_file_id=file.id,
        endpoint=endpoint,
        completion_window=window,
        client_metadata=None if metadata is None else dict(metadata),
        expires_at=now() + WINDOW,
        api_key_id=api_key_id,
        webhook_url=None
        if (url := (metadata or {}).get(webhooks.FIELD)) is None
        else webhooks.check_url(url),
    )
    session.add(batch)
    session.flush()
    record(session, scope, "batch.started", batch, {"endpoint": endpoint})
    _ring_after_commit(session, batch)
    return batch


def get_batch(session: Session, batch_id: str) -> Batch:
    """The tenant's batch of that public id. Raises ApiError: 404."""
    row_id = find_row_id(Prefix.BATCH, batch_id)
    batch = session.get(Batch, row_id) if row_id else None
    if batch is None:
        message = "There is no such batch. GET /v1/batches lists the ones that there are."
        raise ApiError(404, ErrorType.NOT_FOUND, "batch_not_found", message, param="batch_id")
    return batch


def cancel_batch(session: Session, scope: TenantScope, batch: Batch) -> None:
    """Have the batch stop after the lines that are being answered. The caller commits.

    Raises ApiError where it has ended already.
    """
    scope.require(Permission.DATASETS_WRITE)
    session.refresh(batch, with_for_update=True)
    if batch.status.is_final:
        message = f"This batch has ended already: it is {batch.status.value}."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "batch_ended", message, param="batch_id")
    if batch.status is not BatchStatus.CANCELLING:
        batch.status, batch.cancelling_at = BatchStatus.CANCELLING, now()
        record(session, scope, "batch.cancelled", batch)
        _ring_after_commit(session, batch)


def requeue_lost(session: Session) -> int:
    """Ring for batches that no worker is at; how many there were. `session` is an operator session.

    Where the queue is not empty, they may merely be waiting.
    """
    if not rq_queue(Queue.BATCHES).is_empty():
        return 0
    lost = session.scalars(
        select(Batch).where(
            Batch.status.in_(UNFINISHED),
            or_(Batch.heartbeat_at.is_(None), Batch.heartbeat_at < now() - STALE),
        )
    ).all()
    for batch in lost:
        _ring_after_commit(session, batch)
    return len(lost)


def _ring_after_commit(session: Session, batch: Batch) -> None:
    enqueue_after_commit(
        session, Queue.BATCHES, RUN, str(batch.tenant_id), str(batch.id), timeout=_RUN_SECONDS
    )
