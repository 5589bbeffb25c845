"""What the dashboard shows of a tenant: its tiles, its days, and how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.clock import now
from core.models.api_keys import ApiKey
from core.models.datasets import DatasetStatus, DatasetVersion
from core.models.fine_tune_jobs import RUNNING_STATUSES, FineTuneJob, JobStatus
from core.models.models import Model
from core.models.usage import ANSWERING_KINDS, UsageFact

DAYS = 31
"""The longest month, so that the days of the running one are always among them."""


@dataclass(frozen=True)
class Counts:
    """The tiles' figures. `models_live` have a promoted adapter."""

    models: int
    models_live: int
    jobs_running: int
    jobs_queued: int


@dataclass(frozen=True)
class Day:
    """One UTC day's predictions: texts and chats answered, and the tokens read and written for them."""

    day: date
    predictions: int
    tokens: int


@dataclass(frozen=True)
class Progress:
    """Which of the first steps a tenant has taken."""

    has_dataset: bool
    has_model: bool
    has_key: bool
    has_prediction: bool

    @property
    def steps_done(self) -> int:
        return sum((self.has_dataset, self.has_model, self.has_key, self.has_prediction))

    @property
    def is_complete(self) -> bool:
        return self.steps_done == 4


def count(session: Session) -> Counts:
    """Count the session's tenant's models and jobs."""
    models, live = session.execute(select(func.count(Model.id), func.count(Model.current_adapter_id))).one()
    running, queued = session.execute(
        select(
            func.count().filter(FineTuneJob.status.in_(RUNNING_STATUSES)),
            func.count().filter(FineTuneJob.status == JobStatus.QUEUED),
        ).select_from(FineTuneJob)
    ).one()
    return Counts(models, live, running, queued)


def daily_predictions(session: Session, days: int = DAYS) -> Sequence[Day]:
    """The last `days` UTC days up to today, oldest first, days without a prediction among them."""
    today = now().date()
    first = today - timedelta(days=days - 1)
    day = func.date(func.timezone("UTC", UsageFact.occurred_at))
    rows = session.execute(
        select(day, func.sum(UsageFact.inputs), func.sum(UsageFact.quantity))
        .where(
            UsageFact.kind.in_(ANSWERING_KINDS),
            UsageFact.occurred_at >= datetime.combine(first, time(), UTC),
        )
        .group_by(day)
    )
    found = {on: Day(on, int(inputs or 0), int(tokens)) for on, inputs, tokens in rows}
    return [found.get(on) or Day(on, 0, 0) for on in (first + timedelta(days=n) for n in range(days))]


def progress(session: Session) -> Progress:
    """Look which of the first steps the session's tenant has taken."""

    def any_of(*criteria: object) -> bool:
        return bool(session.scalar(select(select(1).where(*criteria).exists())))  # type: ignore[arg-type]

    return Progress(
        has_dataset=any_of(DatasetVersion.status == DatasetStatus.READY),
        has_model=any_of(Model.current_adapter_id.is_not(None)),
        has_key=any_of(ApiKey.revoked_at.is_(None)),
        has_prediction=any_of(UsageFact.kind.in_(ANSWERING_KINDS)),
    )
