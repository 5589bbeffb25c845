"""Fine-tune jobs as their pages show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

import structlog
from sqlalchemy import case, select
from sqlalchemy.orm import Session, defer

from core.catalogue import Task
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob, JobLogLine, JobMetric
from core.models.models import Adapter, Model
from core.models.users import User
from core.storage import BlobCorrupt, BlobNotFound
from portal.evaluations import FIGURES, Classification, Evaluation, Figure, read
from portal.private_training import Memorisation, Privacy, read_memorisation, read_privacy
from training.data.datasets import iter_rows
from training.data.rows import TextRow

log = structlog.get_logger(__name__)

PAGE = 50
LOG_LINES = 200
MOST_SEARCHED = 200_000
"""Rows, that is a second or so."""

_TEST = FineTuneJob.evaluation["test"]
_RESULTS = {
    Task.CLASSIFICATION: _TEST["accuracy"]["value"].as_float(),
    Task.MULTI_LABEL: _TEST["micro_f1"]["value"].as_float(),
    Task.TAGGING: _TEST["f1"]["value"].as_float(),
    Task.CHAT: _TEST["loss"].as_float(),
}
"""Where the evaluation of each task has the figure that is looked at first."""


@dataclass(frozen=True)
class ListedJob:
    """A job in the list, with what it trains on which data; `result` is the test's first figure, once there is one."""

    job: FineTuneJob
    model: Model
    dataset: Dataset
    dataset_version: DatasetVersion
    created_by: str | None
    result: Figure | None


@dataclass(frozen=True)
class Counterpart:
    """The last fine-tune without differential privacy on the same data, for comparison, and its first figure."""

    job_id: UUID
    result: Figure


@dataclass(frozen=True)
class Details:
    """Everything that a job's page shows besides its curves and its log.

    privacy: what was guaranteed, where it was trained so; plain: what to compare that with, if there is something;
    memorisation: what a chat model remembers word for word.
    """

    job: FineTuneJob
    model: Model
    dataset: Dataset
    dataset_version: DatasetVersion
    adapter: Adapter | None
    created_by: str | None
    evaluation: Evaluation | None
    privacy: Privacy | None
    plain: Counterpart | None
    memorisation: Memorisation | None


@dataclass(frozen=True)
class Point:
    """A metric at a step; `epoch` counts from 0 and has fractions."""

    step: int
    epoch: float
    value: float


Curves = Mapping[str, Sequence[Point]]


def list_jobs(session: Session, page: int = 1, size: int = PAGE) -> Sequence[ListedJob]:
    """A page of the session's tenant's jobs, newest first, and one more where there is another page."""
    rows = session.execute(
        select(FineTuneJob, Model, Dataset, DatasetVersion, User.name, case(_RESULTS, value=Model.task))
        .join(Model, Model.id == FineTuneJob.model_id)
        .join(DatasetVersion, DatasetVersion.id == FineTuneJob.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .outerjoin(User, User.id == FineTuneJob.created_by_id)
        # A page full of confusion matrices and reports is not what the list needs.
        .options(defer(FineTuneJob.evaluation), defer(DatasetVersion.report))
        .order_by(FineTuneJob.queued_at.desc(), FineTuneJob.id)
        .offset((page - 1) * size)
        .limit(size + 1)
    )
    return [
        ListedJob(job, model, dataset, version, created_by, _result(model.task, value))
        for job, model, dataset, version, created_by, value in rows
    ]


def _result(task: Task, value: float | None) -> Figure | None:
    return None if value is None else Figure(FIGURES[task][0], value, is_share=task is not Task.CHAT)


def details(session: Session, job: FineTuneJob) -> Details:
    """What a job's page shows."""
    version = session.get_one(DatasetVersion, job.dataset_version_id)
    model = session.get_one(Model, job.model_id)
    privacy = read_privacy(job.evaluation)
    return Details(
        job=job,
        model=model,
        dataset=session.get_one(Dataset, version.dataset_id),
        dataset_version=version,
        adapter=session.scalar(select(Adapter).where(Adapter.job_id == job.id)),
        created_by=session.scalar(select(User.name).where(User.id == job.created_by_id)),
        evaluation=read(job.evaluation),
        privacy=privacy,
        plain=_find_counterpart(session, job, model.task) if privacy else None,
        memorisation=read_memorisation(job.evaluation),
    )


def _find_counterpart(session: Session, job: FineTuneJob, task: Task) -> Counterpart | None:
    result = _RESULTS[task]
    found = session.execute(
        select(FineTuneJob.id, result)
        .where(
            FineTuneJob.dataset_version_id == job.dataset_version_id,
            FineTuneJob.settings["epsilon"].as_float().is_(None),
            result.is_not(None),
        )
        .order_by(FineTuneJob.finished_at.desc(), FineTuneJob.id)
        .limit(1)
    ).one_or_none()
    if found is None:
        return None
    job_id, value = found
    return Counterpart(job_id, Figure(FIGURES[task][0], value))


def curves(session: Session, job: FineTuneJob) -> Curves:
    """A job's metrics by name, each in the order of steps."""
    found: dict[str, list[Point]] = {}
    rows = session.execute(
        select(JobMetric.name, JobMetric.step, JobMetric.epoch, JobMetric.value)
        .where(JobMetric.job_id == job.id)
        .order_by(JobMetric.name, JobMetric.step)
    )
    for name, step, epoch, value in rows:
        found.setdefault(name, []).append(Point(step, epoch, value))
    return found


def log_lines(session: Session, job: FineTuneJob) -> Sequence[JobLogLine]:
    """The last lines of a job's log, oldest first."""
    latest = (
        select(JobLogLine).where(JobLogLine.job_id == job.id).order_by(JobLogLine.at.desc()).limit(LOG_LINES)
    )
    return session.scalars(latest).all()[::-1]


def suspect_texts(session: Session, details: Details) -> Mapping[int, str]:
    """The stored, pseudonymised texts of the rows whose labels look wrong, by row; what is not found is left out.

    They are read from the dataset's encrypted rows, as far as a page can wait for.
    """
    evaluation = details.evaluation
    wanted = {one.row for one in evaluation.suspects} if isinstance(evaluation, Classification) else set()
    found: dict[int, str] = {}
    if not wanted:
        return found
    try:
        for row in islice(iter_rows(session, details.dataset_version), MOST_SEARCHED):
            if isinstance(row, TextRow) and row.row in wanted:
                found[row.row] = row.text
                if len(found) == len(wanted):
                    break
    except (BlobNotFound, BlobCorrupt):
        log.exception("dataset_rows_unreadable", version_id=str(details.dataset_version.id))
    return found


def ready_versions(session: Session) -> Sequence[tuple[Dataset, DatasetVersion]]:
    """The dataset versions that can be trained on, newest first."""
    rows = session.execute(
        select(Dataset, DatasetVersion)
        .join(DatasetVersion, DatasetVersion.dataset_id == Dataset.id)
        .where(DatasetVersion.status == DatasetStatus.READY)
        .order_by(DatasetVersion.ready_at.desc())
    )
    return [(dataset, version) for dataset, version in rows]
