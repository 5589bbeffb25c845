"""/v1/fine_tuning/jobs."""

import re

from flask import Blueprint, Response

from core.catalogue import BaseModel, Task, get_base_model
from core.db import ScopedSession, tenant_session
from core.models.files import FilePurpose
from core.models.fine_tune_jobs import Method
from core.models.fine_tune_requests import FineTuneRequest
from core.storage import BlobNotFound, blob_store, tenant_key
from core.tenancy import Permission
from inference.gateway.access import requires
from inference.gateway.auth import caller
from inference.gateway.bodies import json_response, read_body
from inference.gateway.describe import describes
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.file_rows import task_of
from inference.gateway.files import get_file_for
from inference.gateway.models import find_base, find_own, model_not_found
from inference.gateway.paging import cut_page, ends, find_page, read_query
from inference.gateway.public_ids import Prefix
from inference.gateway.schemas.paging import PageQuery
from inference.gateway.uploads import HEAD_BYTES
from portal.api.jobs import ApiJob, checkpoints, events, get_job, reached, with_jobs
from portal.api.schemas import (
    CheckpointList,
    Hyperparameters,
    JobEventList,
    JobList,
    JobObject,
    JobRequest,
)
from training.errors import JobError
from training.recipe.schedule import pace_of
from training.recipe.settings import FineTuneSettings, SettingsError
from training.requests import Wanted, cancel, request_fine_tune

bp = Blueprint("fine_tuning", __name__)

_FIELDS = {
    "epochs": "hyperparameters.n_epochs",
    "learning_rate": "hyperparameters.learning_rate_multiplier",
    "epsilon": "hyperparameters.privacy_epsilon",
    "model_name": "suffix",
}


@bp.post("/v1/fine_tuning/jobs")
@requires(Permission.JOBS_WRITE)
@describes(JobObject, body=JobRequest, errors=(404,))
def create_job() -> Response:
    """Start a fine-tune on an uploaded file.

    The file is checked and made into a dataset first; what forbids training on it fails the job. The same request
    within ten minutes, while the first has not ended, is answered with the first: no job is paid for twice.
    """
    body = read_body(JobRequest)
    key = caller()
    with tenant_session(key.scope) as session:
        wanted = _wanted(session, body)
        try:
            request = request_fine_tune(session, key.scope, wanted, key.id)
        except JobError as error:
            raise _refused(error.field, str(error)) from None
        session.commit()
        return json_response(with_jobs(session, [request])[0].to_answer())


@bp.get("/v1/fine_tuning/jobs")
@requires(Permission.JOBS_READ)
@describes(JobList, query=PageQuery, errors=(400,))
def list_jobs() -> Response:
    """List the fine-tuning jobs that were started over the API, newest first."""
    query = read_query(PageQuery)
    with tenant_session(caller().scope) as session:
        rows, has_more = find_page(session, reached(session), FineTuneRequest, Prefix.JOB, query)
        data = [job.to_answer() for job in with_jobs(session, rows)]
    return json_response(JobList(data=data, has_more=has_more, **ends(data)))


@bp.get("/v1/fine_tuning/jobs/<fine_tuning_job_id>")
@requires(Permission.JOBS_READ)
@describes(JobObject)
def retrieve_job(fine_tuning_job_id: str) -> Response:
    """What is known of a fine-tuning job."""
    with tenant_session(caller().scope) as session:
        return json_response(get_job(session, fine_tuning_job_id).to_answer())


@bp.post("/v1/fine_tuning/jobs/<fine_tuning_job_id>/cancel")
@requires(Permission.JOBS_WRITE)
@describes(JobObject, errors=(400,))
def cancel_job(fine_tuning_job_id: str) -> Response:
    """Cancel a fine-tuning job. One that runs stops within seconds, and is shown as running until then."""
    scope = caller().scope
    with tenant_session(scope) as session:
        found = get_job(session, fine_tuning_job_id)
        try:
            cancel(session, scope, found.request)
        except JobError as error:
            raise _refused("fine_tuning_job_id", str(error)) from None
        session.commit()
        return json_response(ApiJob(found.request, found.job).to_answer())


@bp.get("/v1/fine_tuning/jobs/<fine_tuning_job_id>/events")
@requires(Permission.JOBS_READ)
@describes(JobEventList, query=PageQuery, errors=(400,))
def list_events(fine_tuning_job_id: str) -> Response:
    """List what has happened to a fine-tuning job, newest first."""
    query = read_query(PageQuery)
    with tenant_session(caller().scope) as session:
        data, has_more = cut_page(events(session, get_job(session, fine_tuning_job_id)), query)
    return json_response(JobEventList(data=list(data), has_more=has_more, **ends(data)))


@bp.get("/v1/fine_tuning/jobs/<fine_tuning_job_id>/checkpoints")
@requires(Permission.JOBS_READ)
@describes(CheckpointList, query=PageQuery, errors=(400,))
def list_checkpoints(fine_tuning_job_id: str) -> Response:
    """List a job's checkpoints: the one step whose weights were kept, once it has succeeded."""
    query = read_query(PageQuery)
    with tenant_session(caller().scope) as session:
        data, has_more = cut_page(checkpoints(session, get_job(session, fine_tuning_job_id)), query)
    return json_response(CheckpointList(data=list(data), has_more=has_more, **ends(data)))


def _wanted(session: ScopedSession, body: JobRequest) -> Wanted:
    """What the body asks for. Raises ApiError."""
    training = get_file_for(session, body.training_file, FilePurpose.FINE_TUNE, "training_file")
    validation = (
        get_file_for(session, body.validation_file, FilePurpose.FINE_TUNE, "validation_file")
        if body.validation_file
        else None
    )
    key = tenant_key(session, session.scope.tenant_id)
    try:
        with blob_store().open(key, training.blob) as stream:
            task = task_of(stream.read(HEAD_BYTES))
    except BlobNotFound:
        raise _refused("training_file", "The file was deleted at this moment.") from None
    base, name = _base_and_name(session, body.model, task)
    if body.suffix is not None:
        name = _slug(body.suffix)
    if session.scope.reach.models is not None and (name is None or find_own(session, name) is None):
        raise model_not_found()  # a key that is limited to models trains those, and makes no others
    return Wanted(
        training_file=training,
        validation_file=validation,
        task=task,
        base=base,
        model_name=name,
        settings=_settings(body.chosen, task),
        hyperparameters=body.chosen.model_dump(),
        seed=body.seed,
        metadata=body.metadata,
    )


def _base_and_name(session: ScopedSession, model: str, task: Task) -> tuple[BaseModel, str | None]:
    """The base model, and the model whose next version is asked for, if it is one of the tenant's."""
    base = find_base(model)
    if base is not None and session.scope.reach.covers(base.id):
        if task not in base.tasks:
            words = ", ".join(sorted(base.tasks))
            raise _refused(
                "model", f"The file's rows are for {task}, and {model!r} can be trained for {words}."
            )
        return base, None
    own = find_own(session, model)
    if own is None:
        raise model_not_found()
    if own.task is not task:
        raise _refused("model", f"The file's rows are for {task}, and {model!r} is a model for {own.task}.")
    return get_base_model(own.base_model), own.name


def _slug(suffix: str) -> str:
    """The model's name that a suffix makes. Raises ApiError where it makes none."""
    name = re.sub(r"[^a-z0-9_-]+", "-", suffix.lower()).strip("-")
    if not name or find_base(name) is not None:
        raise _refused(
            "suffix", "The suffix becomes the model's name: use letters and digits, and no base model's."
        )
    return name


def _settings(chosen: Hyperparameters, task: Task) -> FineTuneSettings:
    multiplier = chosen.learning_rate_multiplier
    rate = pace_of(task).learning_rates[Method.LORA]
    try:
        settings = FineTuneSettings(
            epochs=None if chosen.n_epochs == "auto" else chosen.n_epochs,
            learning_rate=None if multiplier == "auto" else multiplier * rate,
            epsilon=chosen.privacy_epsilon,
        )
        settings.check_task(task)
    except SettingsError as error:
        raise _refused(error.field, f"{_FIELDS.get(error.field, error.field)}: {error}") from None
    return settings


def _refused(field: str, message: str) -> ApiError:
    return ApiError(
        400, ErrorType.INVALID_REQUEST, "invalid_fine_tune", message, param=_FIELDS.get(field, field) or None
    )
