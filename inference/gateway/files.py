"""The files of a tenant's apps: what comes in, what goes out, and what is deleted."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import now
from core.db import after_commit
from core.file_names import seal_filename
from core.models.files import ApiFile, FilePurpose
from core.storage import Blob, blob_store, tenant_key
from core.tenancy import Permission, TenantScope
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.public_ids import Prefix, find_row_id

MOST_FILES = 10_000
"""As many files a tenant may have that are not deleted."""


def add_file(
    session: Session, scope: TenantScope, *, file_id: UUID, filename: str, purpose: FilePurpose, blob: Blob
) -> ApiFile:
    """Note the file whose content is `blob`. The caller commits."""
    scope.require(Permission.DATASETS_WRITE)
    file = ApiFile(
        id=file_id,
        tenant_id=scope.tenant_id,
        purpose=purpose,
        size_bytes=blob.size,
        digest=blob.digest,
        blob=blob.name,
    )
    seal_filename(tenant_key(session, scope.tenant_id), file, filename)
    session.add(file)
    session.flush()
    record(session, scope, "file.uploaded", file, {"purpose": purpose.value, "bytes": blob.size})
    return file


def check_room(session: Session) -> None:
    """Raise ApiError where the session's tenant has as many files as it may."""
    count = session.scalar(select(func.count()).select_from(ApiFile).where(ApiFile.deleted_at.is_(None)))
    if (count or 0) >= MOST_FILES:
        message = f"There are {count} files, and no more are kept. Delete some that nothing needs any more."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "too_many_files", message, param="file")


def get_file(session: Session, file_id: str, *, param: str | None = None) -> ApiFile:
    """The tenant's file of that public id. Raises ApiError: 404, or 400 where `param` names the field with it."""
    row_id = find_row_id(Prefix.FILE, file_id)
    file = session.get(ApiFile, row_id) if row_id else None
    if file is None or file.deleted_at is not None:
        message = "There is no such file. GET /v1/files lists the ones that there are."
        if param is None:
            raise ApiError(404, ErrorType.NOT_FOUND, "file_not_found", message, param="file_id")
        raise ApiError(400, ErrorType.INVALID_REQUEST, "file_not_found", message, param=param)
    return file


def get_file_for(session: Session, file_id: str, purpose: FilePurpose, param: str) -> ApiFile:
    """The file that the field `param` names. Raises ApiError where it is for another purpose, or not there."""
    file = get_file(session, file_id, param=param)
    if file.purpose is not purpose:
        message = f"{param!r} is a file for {file.purpose.value!r}. Upload it with purpose {purpose.value!r}."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "wrong_purpose", message, param=param)
    return file


def delete_file(session: Session, scope: TenantScope, file: ApiFile) -> None:
    """Delete the file's content once the caller has committed. What is still to read it fails, and says so."""
    scope.require(Permission.DATASETS_WRITE)
    file.deleted_at = now()
    record(session, scope, "file.deleted", file)
    key = tenant_key(session, scope.tenant_id)
    after_commit(session, lambda: blob_store().delete(key, file.blob))
