"""Runs one batch: counts its lines, answers them some at a time, and puts the answers into files.

The answers of some lines are a part: one blob for those that succeeded, one for those that failed. A part's blobs are
written before the batch's row says that its lines are done, so that a worker that is killed leaves nothing out, and
the next one writes the same part again.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from typing import Any
from uuid import UUID, uuid5

import structlog
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import now
from core.db import after_commit, tenant_session
from core.file_names import seal_filename
from core.models.batches import Batch, BatchStatus
from core.models.files import ApiFile, FilePurpose
from core.storage import BlobNotFound, TenantKey, blob_store, tenant_key
from inference.gateway.batches import webhooks
from inference.gateway.batches.claims import Claim, ClaimLost
from inference.gateway.batches.lines import (
    Answered,
    Batching,
    Interrupted,
    InvalidLine,
    Line,
    count_lines,
    read_lines,
)
from inference.gateway.uploads import blob_name

log = structlog.get_logger(__name__)

LINES_AT_ONCE = 64
"""Of a part."""

_THREADS = 8
_BEAT_SECONDS = 10.0
_OUTPUT, _ERRORS = "output", "errors"
_KEY_GONE = "The API key that started this batch is not in force any more."
_FILE_GONE = "The input file was deleted before all of its lines had been answered."


def run_batch(tenant_id: str, batch_id: str) -> None:
    """Run the batch to its end, unless the models are away for long; RQ's entry point."""
    claim = Claim.take(UUID(tenant_id), UUID(batch_id))
    if claim is None:
        return
    context = log.bind(tenant_id=tenant_id, batch_id=batch_id)
    try:
        _run(claim)
    except ClaimLost:
        context.warning("batch_claim_lost")
    except Interrupted:
        context.warning("batch_interrupted")
        with suppress(ClaimLost):
            claim.let_go()


def _run(claim: Claim) -> None:
    with tenant_session(claim.scope) as session:
        key = tenant_key(session, claim.scope.tenant_id)
        file = session.get_one(ApiFile, claim.batch.input_file_id)
    if file.deleted_at is not None:
        _end(claim, key, BatchStatus.FAILED, _FILE_GONE)
        return
    try:
        if claim.batch.status is BatchStatus.VALIDATING and not _validate(claim, key, file):
            return
        while (ending := _ending(claim)) is None:
            _answer_part(claim, key, file)
    except BlobNotFound:
        ending = BatchStatus.FAILED, _FILE_GONE
    _end(claim, key, *ending)


def _validate(claim: Claim, key: TenantKey, file: ApiFile) -> bool:
    """Count the lines and check what all of them must have; False where the batch has failed by that."""
    try:
        with blob_store().open(key, file.blob, file.digest) as stream:
            total = count_lines(stream, claim.batch.endpoint)
    except InvalidLine as error:
        _end(claim, key, BatchStatus.FAILED, str(error), error.number)
        return False
    with tenant_session(claim.scope) as session:
        # Somebody may have cancelled it meanwhile.
        claim.write(session, total=total, started_at=now())
        if claim.batch.status is BatchStatus.VALIDATING:
            claim.write(session, status=BatchStatus.IN_PROGRESS)
        session.commit()
    return True


def _ending(claim: Claim) -> tuple[BatchStatus, str | None] | None:
    """How the batch ends now; None where it goes on."""
    claim.beat()
    batch = claim.batch
    if batch.status is BatchStatus.CANCELLING:
        return BatchStatus.CANCELLED, None
    if batch.completed + batch.failed >= batch.total:
        return BatchStatus.COMPLETED, None
    if batch.expires_at <= now():
        return BatchStatus.EXPIRED, None
    return (BatchStatus.FAILED, _KEY_GONE) if claim.batching() is None else None


def _answer_part(claim: Claim, key: TenantKey, file: ApiFile) -> None:
    """Answer the next lines, and put their answers into the next part."""
    batch, batching = claim.batch, claim.batching()
    if batching is None:
        return  # revoked at this moment: the next look at the batch ends it
    with blob_store().open(key, file.blob) as stream:
        lines = list(
            islice(
                read_lines(stream, batch.endpoint, number=batch.read_lines, offset=batch.read_bytes),
                LINES_AT_ONCE,
            )
        )
    answers = _answer(claim, batching, lines)
    for kind, failed in ((_OUTPUT, False), (_ERRORS, True)):
        content = b"".join(answer.line for answer in answers if answer.failed is failed)
        blob_store().put(key, _part_name(batch, kind, batch.parts), content)
    failures = sum(answer.failed for answer in answers)
    with tenant_session(claim.scope) as session:
        claim.write(
            session,
            completed=batch.completed + len(answers) - failures,
            failed=batch.failed + failures,
            read_lines=lines[-1].number,
            read_bytes=lines[-1].end,
            parts=batch.parts + 1,
        )
        batching.forget(session, lines)
        session.commit()


def _answer(claim: Claim, batching: Batching, lines: Sequence[Line]) -> list[Answered]:
    """The lines' answers, in their order; the batch's heart beats meanwhile."""
    with ThreadPoolExecutor(_THREADS) as threads:
        futures: list[Future[Answered]] = [threads.submit(batching.answer, line) for line in lines]
        try:
            while wait(futures, timeout=_BEAT_SECONDS).not_done:
                claim.beat()
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _end(
    claim: Claim, key: TenantKey, status: BatchStatus, error: str | None = None, line: int | None = None
) -> None:
    """Put the parts together into files, and the batch to rest."""
    batch = claim.batch
    with tenant_session(claim.scope) as session:
        files = {kind: _put_together(session, key, batch, kind) for kind in (_OUTPUT, _ERRORS)}
        values: dict[str, Any] = {
            "status": status,
            "error": error,
            "error_line": line,
            "output_file_id": files[_OUTPUT],
            "error_file_id": files[_ERRORS],
            "finished_at": now(),
            "heartbeat_at": None,
            "webhook_due_at": now() if batch.webhook_url else None,
        }
        claim.write(session, **values)
        if batch.webhook_url:
            webhooks.ring_after_commit(session, batch)
        counts = {"completed": batch.completed, "failed": batch.failed}
        record(session, claim.scope, f"batch.{status.value}", batch, counts)
        after_commit(session, lambda: _delete_parts(key, batch))
        session.commit()


def _put_together(session: Session, key: TenantKey, batch: Batch, kind: str) -> UUID | None:
    """The file of all parts of a kind; None where they are empty.

    Its id follows from the batch's, so that a worker that is killed here leaves no blob that nobody knows.
    """
    file_id = uuid5(batch.id, kind)
    with blob_store().open_writer(key, blob_name(file_id)) as writer:
        for number in range(batch.parts):
            writer.write(blob_store().get(key, _part_name(batch, kind, number)))
        blob = writer.commit()
    if not blob.size:
        blob_store().delete(key, blob.name)
        return None
    file = ApiFile(
        id=file_id,
        tenant_id=batch.tenant_id,
        purpose=FilePurpose.BATCH_OUTPUT,
        size_bytes=blob.size,
        digest=blob.digest,
        blob=blob.name,
    )
    seal_filename(key, file, f"batch_{batch.id.hex}_{kind}.jsonl")
    session.add(file)
    session.flush()
    return file_id


def _part_name(batch: Batch, kind: str, number: int) -> str:
    return f"batches/{batch.id}/{number}.{kind}"


def _delete_parts(key: TenantKey, batch: Batch) -> None:
    for number in range(batch.parts):
        for kind in (_OUTPUT, _ERRORS):
            blob_store().delete(key, _part_name(batch, kind, number))
