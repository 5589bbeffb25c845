"""What a fine-tune reads: a dataset version that may be trained on, and its rows as the recipe wants them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.catalogue import Task
from core.db import tenant_session
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.privacy.numbers import Numbering
from core.privacy.pseudonymise import generalise
from core.tenancy import TenantScope
from training.data.columns import Split
from training.data.datasets import iter_rows, task_of
from training.data.rows import ChatRow, Message, MultiLabelRow, StoredRow, TaggedRow, TextRow
from training.errors import JobError
from training.recipe.data import (
    ChatData,
    ClassificationData,
    Conversation,
    Example,
    MultiLabelData,
    MultiLabelExample,
    TaggedExample,
    TaggingData,
    TrainingData,
)
from training.recipe.settings import FineTuneSettings, SettingsError

_ROWS_BETWEEN_BEATS = 1000

_DATA: dict[Task, type[TrainingData[Any]]] = {
    data.task: data for data in (ClassificationData, MultiLabelData, TaggingData, ChatData)
}


def check_version(session: Session, version: DatasetVersion) -> Task:
    """The task that `version` is labeled for. Raises JobError where nothing can be trained on it."""
    if version.status is not DatasetStatus.READY:
        raise JobError(
            "version", f"This dataset version is {version.status.value}. Choose one that is ready."
        )
    task = session.scalars(select(Dataset.task).where(Dataset.id == version.dataset_id)).one_or_none()
    if task is None:
        raise JobError("version", "There is no such dataset version. Choose one of yours.")
    return task


def check_method(task: Task, settings: FineTuneSettings) -> None:
    """Raises JobError, with its field, where a model for `task` cannot be trained with `settings`."""
    try:
        settings.check_task(task)
    except SettingsError as error:
        raise JobError(error.field, str(error)) from None


def load(scope: TenantScope, version: DatasetVersion, beat: Callable[[], None]) -> TrainingData[Any]:
    """All rows of the ready `version`, placeholders as the gateway writes them at inference.

    `beat` is called every now and then. Raises what `iter_rows` and `beat` do.
    """
    splits: dict[Split, list[Any]] = {split: [] for split in Split}
    with tenant_session(scope) as session:
        task = task_of(session, version)
        for count, row in enumerate(iter_rows(session, version)):
            if count % _ROWS_BETWEEN_BEATS == 0:
                session.rollback()  # the rows come from a blob: no transaction is held open while they do
                beat()
            splits[row.split].append(_example(row))
    return _DATA[task](
        labels=tuple(version.labels or ()),
        train=splits[Split.TRAIN],
        validation=splits[Split.VALIDATION],
        test=splits[Split.TEST],
    )


def _example(row: StoredRow) -> Example | MultiLabelExample | TaggedExample | Conversation:
    match row:
        case TextRow():
            return Example(generalise(row.text), row.label, row.row)
        case MultiLabelRow():
            return MultiLabelExample(generalise(row.text), row.labels, row.row)
        case TaggedRow():
            return TaggedExample(tuple(map(generalise, row.tokens)), row.tags, row.row)
        case ChatRow():
            number = Numbering().number
            messages = (Message(message.role, number(message.content)) for message in row.messages)
            return Conversation(tuple(messages), row.row)
