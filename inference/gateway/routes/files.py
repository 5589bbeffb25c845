"""/v1/files."""

from flask import Blueprint, Response, send_file
from sqlalchemy import select

from core.db import tenant_session
from core.file_names import filename_of
from core.models.files import ApiFile, FilePurpose
from core.storage import blob_store, tenant_key
from core.tenancy import Permission
from inference.gateway.access import requires
from inference.gateway.auth import caller
from inference.gateway.bodies import json_response
from inference.gateway.describe import describes
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.file_rows import check_head
from inference.gateway.files import add_file, check_room, delete_file, get_file
from inference.gateway.paging import ends, find_page, read_query
from inference.gateway.public_ids import Prefix
from inference.gateway.schemas.files import FileForm, FileList, FileObject, FileQuery
from inference.gateway.schemas.paging import Deleted
from inference.gateway.uploads import receive_upload

bp = Blueprint("files", __name__)

CONTENT = "application/octet-stream"
_UPLOADED = {FilePurpose.FINE_TUNE, FilePurpose.BATCH}


@bp.post("/v1/files")
@requires(Permission.DATASETS_WRITE)
@describes(FileObject, form=FileForm)
def create_file() -> Response:
    """Upload a file in JSON Lines, to train on or to run as a batch.

    Its first row is checked at once, all of them when the file is used.
    """
    scope = caller().scope
    with tenant_session(scope) as session:
        check_room(session)
    with receive_upload(scope) as upload:
        purpose = _purpose(upload.purpose)
        check_head(upload.head, purpose)
        blob = upload.commit()
        with tenant_session(scope) as session:
            file = add_file(
                session, scope, file_id=upload.file_id, filename=upload.filename, purpose=purpose, blob=blob
            )
            key = tenant_key(session, scope.tenant_id)
            session.commit()
    return json_response(FileObject.of(key, file))


@bp.get("/v1/files")
@requires(Permission.DATASETS_READ)
@describes(FileList, query=FileQuery, errors=(400,))
def list_files() -> Response:
    """List the files, newest first."""
    query = read_query(FileQuery)
    rows = select(ApiFile).where(ApiFile.deleted_at.is_(None))
    if query.purpose is not None:
        rows = rows.where(ApiFile.purpose == query.purpose)
    scope = caller().scope
    with tenant_session(scope) as session:
        key = tenant_key(session, scope.tenant_id)
        files, has_more = find_page(
            session, rows, ApiFile, Prefix.FILE, query, oldest_first=query.order == "asc"
        )
    data = [FileObject.of(key, file) for file in files]
    return json_response(FileList(data=data, has_more=has_more, **ends(data)))


@bp.get("/v1/files/<file_id>")
@requires(Permission.DATASETS_READ)
@describes(FileObject)
def retrieve_file(file_id: str) -> Response:
    """What is known of a file."""
    scope = caller().scope
    with tenant_session(scope) as session:
        file = get_file(session, file_id)
        return json_response(FileObject.of(tenant_key(session, scope.tenant_id), file))


@bp.get("/v1/files/<file_id>/content")
@requires(Permission.DATASETS_READ)
@describes(media=(CONTENT,))
def file_content(file_id: str) -> Response:
    """The file itself, as it was uploaded or as a batch has left it."""
    scope = caller().scope
    with tenant_session(scope) as session:
        file = get_file(session, file_id)
        key = tenant_key(session, scope.tenant_id)
    # No connection is held while the client reads.
    response = send_file(
        blob_store().open(key, file.blob, file.digest),
        mimetype=CONTENT,
        as_attachment=True,
        download_name=filename_of(key, file),
        conditional=False,
        etag=False,
    )
    response.content_length = file.size_bytes
    return response


@bp.delete("/v1/files/<file_id>")
@requires(Permission.DATASETS_WRITE)
@describes(Deleted)
def remove_file(file_id: str) -> Response:
    """Delete a file. Datasets and models that were made from it stay."""
    scope = caller().scope
    with tenant_session(scope) as session:
        delete_file(session, scope, get_file(session, file_id))
        session.commit()
    return json_response(Deleted(id=file_id, object="file"))


def _purpose(given: str) -> FilePurpose:
    if given not in _UPLOADED:
        message = "'purpose' is wrong: send 'fine-tune' or 'batch'."
        raise ApiError(400, ErrorType.INVALID_REQUEST, "invalid_file", message, param="purpose")
    return FilePurpose(given)
