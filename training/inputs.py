"""What a fine-tune reads: a dataset version that may be trained on, and its rows as the recipe wants them."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.catalogue import Task
from core.db import tenant_session
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.privacy.pseudonymise import generalise
from core.tenancy import TenantScope
from training.data.columns import Split
from training.data.datasets import iter_rows
from training.data.rows import TextRow
from training.errors import JobError
from training.recipe.data import Example, TrainingData

_ROWS_BETWEEN_BEATS = 1000


def check_version(session: Session, version: DatasetVersion) -> Task:
    """The task that `version` is labeled for. Raises JobError where nothing can be trained on it."""
    if version.status is not DatasetStatus.READY:
        raise JobError(
            "version", f"This dataset version is {version.status.value}. Choose one that is ready."
        )
    task = session.scalars(select(Dataset.task).where(Dataset.id == version.dataset_id)).one_or_none()
    if task is None:
        raise JobError("version", "There is no such dataset version. Choose one of yours.")
    if task is not Task.CLASSIFICATION:
        raise JobError("version", f"This dataset is for {task.value}. Choose one for classification.")
    return task


def load(scope: TenantScope, version: DatasetVersion, beat: Callable[[], None]) -> TrainingData:
    """All rows of the ready `version`, personal data reduced to its kind, as the gateway does at inference.

    `beat` is called every now and then. Raises what `iter_rows` and `beat` do.
    """
    splits: dict[Split, list[Example]] = {split: [] for split in Split}
    with tenant_session(scope) as session:
        for count, row in enumerate(iter_rows(session, version)):
            if count % _ROWS_BETWEEN_BEATS == 0:
                session.rollback()  # the rows come from a blob: no transaction is held open while they do
                beat()
            assert isinstance(row, TextRow)  # check_version lets no other task through
            splits[row.split].append(Example(generalise(row.text), row.label, row.row))
    return TrainingData(
        labels=tuple(version.labels or ()),
        train=splits[Split.TRAIN],
        validation=splits[Split.VALIDATION],
        test=splits[Split.TEST],
    )
