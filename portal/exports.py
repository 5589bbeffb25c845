"""Exporting everything that a tenant owns: asked for by an admin, made by a worker, kept for a week."""

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, BinaryIO
from uuid import UUID

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import audit
from core.clock import now
from core.db import tenant_session
from core.models.exports import DataExport, ExportStatus
from core.queues import Queue, enqueue_after_commit, rq_queue
from core.storage import BlobCorrupt, BlobNotFound, TenantKey, blob_store, tenant_key
from core.tenancy import TenantScope, system_scope
from portal import export_contents

log = structlog.get_logger(__name__)

LIFETIME = timedelta(days=7)
BUILD = "portal.exports.build"
_UNDER_WAY = (ExportStatus.QUEUED, ExportStatus.EXPORTING)
_STALE = timedelta(minutes=5)
_TIMEOUT_SECONDS = 6 * 3600
_PIECE_BYTES = 1 << 20
_BEAT_SECONDS = 30
_ONE_AT_A_TIME = "An export is being made already."
_FAILED = "The archive could not be made. Ask for another; if that fails too, tell the operator."


class ExportError(Exception):
    """There is one under way already; fit to show."""


def list_exports(session: Session) -> list[DataExport]:
    """The tenant's last exports, newest first."""
    return list(session.scalars(select(DataExport).order_by(DataExport.created_at.desc()).limit(20)))


def request_export(session: Session, scope: TenantScope) -> DataExport:
    """Have a worker make the archive once the caller has committed. Raises ExportError."""
    if session.scalar(select(DataExport.id).where(DataExport.status.in_(_UNDER_WAY))) is not None:
        raise ExportError(_ONE_AT_A_TIME)
    export = DataExport(tenant_id=scope.tenant_id, requested_by_id=scope.actor.id)
    session.add(export)
    try:
        session.flush()
    except IntegrityError:  # somebody else asked in the same moment
        session.rollback()
        raise ExportError(_ONE_AT_A_TIME) from None
    audit.record(session, scope, "export.requested", export)
    _ring(session, export.tenant_id, export.id)
    return export


def build(tenant_id: str, export_id: str) -> None:
    """Make the archive, if nobody is at it; RQ's entry point."""
    scope = system_scope(UUID(tenant_id), "worker")
    if not _claim(scope, UUID(export_id)):
        return
    try:
        _write(scope, UUID(export_id))
    except Exception:
        log.exception("export_failed", tenant_id=tenant_id, export_id=export_id)
        _set(scope, UUID(export_id), status=ExportStatus.FAILED, error=_FAILED)


def requeue_lost(session: Session) -> None:
    """Ring for exports whose worker died. `session` is an operator session."""
    if not rq_queue(Queue.DATASETS).is_empty():
        return  # they may merely be waiting
    stale = or_(DataExport.heartbeat_at.is_(None), DataExport.heartbeat_at < now() - _STALE)
    lost = select(DataExport.tenant_id, DataExport.id).where(
        DataExport.status.in_(_UNDER_WAY), DataExport.created_at < now() - _STALE, stale
    )
    for tenant_id, export_id in session.execute(lost):
        _ring(session, tenant_id, export_id)


def expire(session: Session) -> None:
    """Delete archives whose week is over. `session` is an operator session, which the caller commits."""
    over = select(DataExport).where(DataExport.status == ExportStatus.READY, DataExport.expires_at < now())
    for export in session.scalars(over.with_for_update(skip_locked=True)):
        if export.blob is not None:
            # Before the row says so: cut off in between, it is found again.
            blob_store().delete(tenant_key(session, export.tenant_id), export.blob)
        export.status, export.blob = ExportStatus.EXPIRED, None


def pieces(session: Session, export: DataExport) -> Iterator[bytes]:
    """The ready archive's bytes. Raises BlobNotFound at once where it is gone."""
    assert export.blob is not None
    file = blob_store().open(tenant_key(session, export.tenant_id), export.blob)
    return _read(file)


def _ring(session: Session, tenant_id: UUID, export_id: UUID) -> None:
    enqueue_after_commit(
        session, Queue.DATASETS, BUILD, str(tenant_id), str(export_id), timeout=_TIMEOUT_SECONDS
    )


def _claim(scope: TenantScope, export_id: UUID) -> bool:
    with tenant_session(scope) as session:
        export = session.get(DataExport, export_id, with_for_update=True)
        at = now()
        if export is None or export.status not in _UNDER_WAY:
            return False
        if export.heartbeat_at is not None and export.heartbeat_at > at - _STALE:
            return False
        export.status, export.heartbeat_at = ExportStatus.EXPORTING, at
        session.commit()
    return True


def _set(scope: TenantScope, export_id: UUID, **values: Any) -> None:
    with tenant_session(scope) as session:
        session.execute(update(DataExport).where(DataExport.id == export_id).values(**values))
        session.commit()


def _write(scope: TenantScope, export_id: UUID) -> None:
    name = f"exports/{export_id}.zip"
    with tenant_session(scope) as session:
        key = tenant_key(session, scope.tenant_id)
        stored = export_contents.files(session)
        steps = len(export_contents.TABLES) + len(stored)
        entries: list[dict[str, Any]] = []

        def note() -> None:
            _set(scope, export_id, progress=len(entries) / steps, heartbeat_at=now())

        with blob_store().open_writer(key, name) as writer:
            with zipfile.ZipFile(writer, "w", zipfile.ZIP_DEFLATED) as archive:
                for table in export_contents.TABLES:
                    rows = export_contents.rows(session, key, table)
                    entries.append(_add(archive, f"tables/{table}.jsonl", rows, note))
                    note()
                for file in stored:
                    entries.append(_add_file(archive, key, file, note))
                    note()
                manifest = {"tenant": str(scope.tenant_id), "made_at": now().isoformat(), "entries": entries}
                archive.writestr("manifest.json", json.dumps(manifest, indent=2))
            blob = writer.commit()
    _set(
        scope,
        export_id,
        status=ExportStatus.READY,
        progress=1.0,
        blob=blob.name,
        size_bytes=blob.size,
        expires_at=now() + LIFETIME,
    )


def _add(
    archive: zipfile.ZipFile, name: str, parts: Iterable[bytes], beat: Callable[[], None]
) -> dict[str, Any]:
    """Write an entry piece by piece, with a `beat` now and then; what the manifest says of it."""
    digest, size, beaten_at = hashlib.sha256(), 0, time.monotonic()
    with archive.open(name, "w", force_zip64=True) as entry:
        for part in parts:
            entry.write(part)
            digest.update(part)
            size += len(part)
            if time.monotonic() - beaten_at > _BEAT_SECONDS:
                beat()
                beaten_at = time.monotonic()
    return {"name": name, "bytes": size, "sha256": digest.hexdigest()}


def _add_file(
    archive: zipfile.ZipFile, key: TenantKey, file: export_contents.StoredFile, beat: Callable[[], None]
) -> dict[str, Any]:
    try:
        source = blob_store().open(key, file.blob, file.digest)
    except (BlobNotFound, BlobCorrupt) as error:
        # The rest is the tenant's all the same, and the manifest says what is missing.
        return {"name": file.name, "missing": str(error)}
    return _add(archive, file.name, _read(source), beat)


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
