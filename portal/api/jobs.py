"""Fine-tuning jobs as the API shows them: a request, and the job that it became."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.clock import now
from core.db import ScopedSession
from core.models.fine_tune_jobs import FineTuneJob, JobLogLine, JobMetric, JobStatus
from core.models.fine_tune_requests import FineTuneRequest, RequestStatus
from core.models.models import Adapter
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.models import list_own
from inference.gateway.public_ids import Prefix, find_row_id, public_id
from portal.api.schemas import (
    Checkpoint,
    CheckpointMetrics,
    Hyperparameters,
    JobEvent,
    JobObject,
    JobProblem,
    MethodAnswer,
    SupervisedAnswer,
)

Status = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
Level = Literal["info", "warn", "error"]

_LEVELS: dict[str, Level] = {"warning": "warn", "error": "error"}
_METRICS = {
    "train_loss": "train_loss",
    "validation_loss": "valid_loss",
    "validation_accuracy": "valid_accuracy",
    "validation_macro_f1": "valid_macro_f1",
    "validation_f1": "valid_f1",
}


@dataclass(frozen=True, slots=True)
class ApiJob:
    """A request, and its job once there is one."""

    request: FineTuneRequest
    job: FineTuneJob | None

    @property
    def id(self) -> str:
        return public_id(Prefix.JOB, self.request.id)

    @property
    def status(self) -> Status:
        if self.job is None:
            return _WITHOUT_JOB[self.request.status]
        if self.job.status is JobStatus.QUEUED:
            return "queued"
        return "running" if self.job.status.is_running else _ENDED[self.job.status]

    def to_answer(self) -> JobObject:
        request, job = self.request, self.job
        error = job.error if job else request.error
        finished_at = job.finished_at if job else request.finished_at
        hyperparameters = Hyperparameters(**request.hyperparameters)
        return JobObject(
            id=self.id,
            created_at=_seconds(request.created_at),
            finished_at=_seconds(finished_at) if finished_at else None,
            estimated_finish=_estimated_finish(job),
            status=self.status,
            error=JobProblem(code=_code(job), message=error, param=_param(job)) if error else None,
            model=request.base_model,
            task=request.task,
            fine_tuned_model=request.model_name if self.status == "succeeded" else None,
            training_file=public_id(Prefix.FILE, request.training_file_id),
            validation_file=(
                public_id(Prefix.FILE, request.validation_file_id) if request.validation_file_id else None
            ),
            trained_tokens=job.training_tokens if job else None,
            seed=request.seed,
            hyperparameters=hyperparameters,
            method=MethodAnswer(supervised=SupervisedAnswer(hyperparameters=hyperparameters)),
            metadata=request.client_metadata,
            organization_id=str(request.tenant_id),
        )


_WITHOUT_JOB: dict[RequestStatus, Status] = {
    RequestStatus.VALIDATING: "validating_files",
    RequestStatus.LAUNCHED: "queued",
    RequestStatus.FAILED: "failed",
    RequestStatus.CANCELLED: "cancelled",
}
_ENDED: dict[JobStatus, Status] = {
    JobStatus.SUCCEEDED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}


def reached(session: ScopedSession) -> Select[FineTuneRequest]:
    """The tenant's requests, of the models that the session's scope reaches."""
    requests = select(FineTuneRequest)
    if session.scope.reach.models is None:
        return requests
    return requests.where(FineTuneRequest.model_name.in_([model.name for model, _ in list_own(session)]))


def get_job(session: ScopedSession, job_id: str) -> ApiJob:
    """The tenant's job of that public id. Raises ApiError: 404."""
    row_id = find_row_id(Prefix.JOB, job_id)
    found = reached(session).where(FineTuneRequest.id == row_id)
    request = session.scalars(found).one_or_none() if row_id else None
    if request is None:
        message = "There is no such fine-tuning job. GET /v1/fine_tuning/jobs lists the ones that there are."
        raise ApiError(404, ErrorType.NOT_FOUND, "job_not_found", message, param="fine_tuning_job_id")
    return ApiJob(request, session.get(FineTuneJob, request.job_id) if request.job_id else None)


def with_jobs(session: Session, requests: Sequence[FineTuneRequest]) -> list[ApiJob]:
    """`requests`, each with its job."""
    ids = [request.job_id for request in requests if request.job_id]
    jobs = {job.id: job for job in session.scalars(select(FineTuneJob).where(FineTuneJob.id.in_(ids)))}
    return [ApiJob(request, jobs.get(request.job_id) if request.job_id else None) for request in requests]


def events(session: Session, api_job: ApiJob) -> list[JobEvent]:
    """What has happened to the job so far, newest first."""
    request, job = api_job.request, api_job.job
    found = [_event(request, 0, request.created_at, "Created; its files are being checked.")]
    if job is None and request.finished_at is not None:
        message = request.error or "Cancelled."
        found.append(_event(request, 1, request.finished_at, message, "error" if request.error else "info"))
    if job is not None:
        lines = session.scalars(
            select(JobLogLine).where(JobLogLine.job_id == job.id).order_by(JobLogLine.at, JobLogLine.id)
        )
        found += [
            JobEvent(
                id=public_id(Prefix.EVENT, line.id),
                created_at=_seconds(line.at),
                level=_LEVELS.get(line.level, "info"),
                message=line.message,
            )
            for line in lines
        ]
    return found[::-1]


def checkpoints(session: Session, api_job: ApiJob) -> list[Checkpoint]:
    """The step whose weights became the job's adapter; none before there is one."""
    adapter = session.scalar(select(Adapter).where(Adapter.job_id == api_job.request.job_id))
    if adapter is None:
        return []
    step = int(adapter.evaluation.get("validation", {}).get("step", 0))
    measured = session.execute(
        select(JobMetric.name, JobMetric.value).where(
            JobMetric.job_id == adapter.job_id, JobMetric.step == step
        )
    )
    metrics = {_METRICS[name]: value for name, value in measured if name in _METRICS}
    return [
        Checkpoint(
            id=public_id(Prefix.CHECKPOINT, adapter.id),
            created_at=_seconds(adapter.created_at),
            fine_tuned_model_checkpoint=api_job.request.model_name,
            fine_tuning_job_id=api_job.id,
            step_number=step,
            metrics=CheckpointMetrics(step=step, **metrics),
        )
    ]


def _event(
    request: FineTuneRequest, number: int, at: datetime, message: str, level: Level = "info"
) -> JobEvent:
    return JobEvent(
        id=f"{public_id(Prefix.EVENT, request.id)}-{number}",
        created_at=_seconds(at),
        level=level,
        message=message,
    )


def _code(job: FineTuneJob | None) -> str:
    return "invalid_training_file" if job is None else "training_failed"


def _param(job: FineTuneJob | None) -> str | None:
    return "training_file" if job is None else None


def _estimated_finish(job: FineTuneJob | None) -> int | None:
    if job is None or job.eta_seconds is None:
        return None
    return _seconds(now() + timedelta(seconds=job.eta_seconds))


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
