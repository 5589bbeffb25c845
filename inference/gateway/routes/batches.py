"""/v1/batches."""

from flask import Blueprint, Response
from sqlalchemy import select

from core.db import tenant_session
from core.models.batches import Batch
from core.models.files import FilePurpose
from core.tenancy import Permission
from inference.gateway.access import requires
from inference.gateway.auth import caller
from inference.gateway.batches.asked import cancel_batch, get_batch, start_batch
from inference.gateway.bodies import json_response, read_body
from inference.gateway.describe import describes
from inference.gateway.files import get_file_for
from inference.gateway.paging import ends, find_page, read_query
from inference.gateway.public_ids import Prefix
from inference.gateway.schemas.batches import BatchList, BatchObject, BatchRequest
from inference.gateway.schemas.paging import PageQuery

bp = Blueprint("batches", __name__)


@bp.post("/v1/batches")
@requires(Permission.DATASETS_WRITE)
@describes(BatchObject, body=BatchRequest)
def create_batch() -> Response:
    """Answer all the requests in a file, within a day and usually much sooner.

    Each line that succeeds is billed once, as the same request alone would be. Limits a minute do not count them.
    """
    body = read_body(BatchRequest)
    key = caller()
    with tenant_session(key.scope) as session:
        batch = start_batch(
            session,
            key.scope,
            file=get_file_for(session, body.input_file_id, FilePurpose.BATCH, "input_file_id"),
            endpoint=body.endpoint,
            window=body.completion_window,
            metadata=body.metadata,
            api_key_id=key.id,
        )
        session.commit()
        return json_response(BatchObject.of(batch))


@bp.get("/v1/batches")
@requires(Permission.DATASETS_READ)
@describes(BatchList, query=PageQuery, errors=(400,))
def list_batches() -> Response:
    """List the batches, newest first."""
    query = read_query(PageQuery)
    with tenant_session(caller().scope) as session:
        batches, has_more = find_page(session, select(Batch), Batch, Prefix.BATCH, query)
    data = [BatchObject.of(batch) for batch in batches]
    return json_response(BatchList(data=data, has_more=has_more, **ends(data)))


@bp.get("/v1/batches/<batch_id>")
@requires(Permission.DATASETS_READ)
@describes(BatchObject)
def retrieve_batch(batch_id: str) -> Response:
    """How far a batch is, and where its answers are once it has ended."""
    with tenant_session(caller().scope) as session:
        return json_response(BatchObject.of(get_batch(session, batch_id)))


@bp.post("/v1/batches/<batch_id>/cancel")
@requires(Permission.DATASETS_WRITE)
@describes(BatchObject, errors=(400,))
def stop_batch(batch_id: str) -> Response:
    """Cancel a batch. What was answered until then is kept, and billed."""
    scope = caller().scope
    with tenant_session(scope) as session:
        batch = get_batch(session, batch_id)
        cancel_batch(session, scope, batch)
        session.commit()
        return json_response(BatchObject.of(batch))
