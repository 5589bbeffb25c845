"""Models as their pages show them: versions with what they were trained on and how they did, and usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.periods import Month
from core.models.datasets import Dataset, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob
from core.models.models import Adapter, Model
from core.models.usage import ANSWERING_KINDS, UsageFact
from portal.evaluations import Evaluation, read
from training.promotion import find_obstacle

MOST_COMPARED = 4


@dataclass(frozen=True)
class ListedModel:
    """A model in the list; `current` is the adapter that answers, if any, `newest_at` when the last was made."""

    model: Model
    current: Adapter | None
    evaluation: Evaluation | None
    versions: int
    newest_at: datetime | None


@dataclass(frozen=True)
class Version:
    """An adapter beside what made it; `obstacle` is why it may not be promoted."""

    adapter: Adapter
    job: FineTuneJob
    dataset: Dataset
    dataset_version: DatasetVersion
    evaluation: Evaluation | None
    is_current: bool
    obstacle: str | None


@dataclass(frozen=True)
class LabelRow:
    """A label's F1 in each of the compared versions; None in one that does not know the label."""

    label: str
    f1: Sequence[float | None]


@dataclass(frozen=True)
class Comparison:
    """Versions beside each other, label by label, those that differ most first."""

    versions: Sequence[Version]
    labels: Sequence[LabelRow]


@dataclass(frozen=True)
class ModelUsage:
    """What a model was called for in a month: requests, the texts in them, and their tokens."""

    requests: int
    texts: int
    tokens: int


def list_models(session: Session) -> Sequence[ListedModel]:
    """The session's tenant's models, by name."""
    counted = (
        select(
            Adapter.model_id, func.count().label("versions"), func.max(Adapter.created_at).label("newest_at")
        )
        .group_by(Adapter.model_id)
        .subquery()
    )
    rows = session.execute(
        select(Model, Adapter, func.coalesce(counted.c.versions, 0), counted.c.newest_at)
        .outerjoin(Adapter, Adapter.id == Model.current_adapter_id)
        .outerjoin(counted, counted.c.model_id == Model.id)
        .where(Model.deleted_at.is_(None))
        .order_by(Model.name)
    )
    return [
        ListedModel(model, current, read(current.evaluation) if current else None, count, newest_at)
        for model, current, count, newest_at in rows
    ]


def list_versions(session: Session, model: Model) -> Sequence[Version]:
    """A model's versions, newest first."""
    rows = session.execute(
        select(Adapter, FineTuneJob, DatasetVersion, Dataset)
        .join(FineTuneJob, FineTuneJob.id == Adapter.job_id)
        .join(DatasetVersion, DatasetVersion.id == FineTuneJob.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(Adapter.model_id == model.id)
        .order_by(Adapter.version.desc())
    )
    return [
        Version(
            adapter=adapter,
            job=job,
            dataset=dataset,
            dataset_version=dataset_version,
            evaluation=read(adapter.evaluation),
            is_current=adapter.id == model.current_adapter_id,
            obstacle=find_obstacle(adapter),
        )
        for adapter, job, dataset_version, dataset in rows
    ]


def compare(versions: Sequence[Version]) -> Comparison | None:
    """The live version and the newest measured ones, label by label; None where there are not two to compare."""
    measured = [version for version in versions if version.evaluation is not None]
    shown = {version.adapter.id for version in measured[:MOST_COMPARED]}
    compared = [version for version in measured if version.is_current or version.adapter.id in shown]
    if len(compared) < 2:
        return None
    f1 = [_f1_by_label(version) for version in compared]
    labels = dict.fromkeys(label for one in f1 for label in one)
    rows = [LabelRow(label, [one.get(label) for one in f1]) for label in labels]
    return Comparison(compared, sorted(rows, key=lambda row: (-_spread(row), row.label)))


def _f1_by_label(version: Version) -> Mapping[str, float]:
    return {row.label: row.f1 for row in version.evaluation.classes} if version.evaluation else {}


def _spread(row: LabelRow) -> float:
    known = [value for value in row.f1 if value is not None]
    return max(known) - min(known)


def usage_by_model(session: Session, month: Month) -> Mapping[UUID, ModelUsage]:
    """What the session's tenant's models answered in a month, by the ledger; a model without usage is left out."""
    rows = session.execute(
        select(
            UsageFact.model_id,
            UsageFact.request_count(),
            func.sum(UsageFact.inputs),
            func.sum(UsageFact.quantity),
        )
        .where(
            UsageFact.kind.in_(ANSWERING_KINDS),
            UsageFact.occurred_at >= month.start,
            UsageFact.occurred_at < month.end,
        )
        .group_by(UsageFact.model_id)
    )
    return {
        model_id: ModelUsage(int(requests), int(texts), int(tokens))
        for model_id, requests, texts, tokens in rows
        if model_id is not None
    }


def usage_of(session: Session, model: Model, month: Month) -> ModelUsage:
    """What one model answered in a month."""
    return usage_by_model(session, month).get(model.id, ModelUsage(0, 0, 0))
