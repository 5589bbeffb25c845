"""What a chat model was told to be in its data, which it answers best when told again."""

from itertools import islice

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.datasets import DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob
from core.models.models import Adapter, Model
from core.privacy.pseudonymise import generalise
from core.storage import BlobCorrupt, BlobNotFound
from training.data.chat_rows import SYSTEM
from training.data.datasets import DatasetError, iter_rows
from training.data.rows import ChatRow

log = structlog.get_logger(__name__)

_LOOKED_AT = 50


def system_message(session: Session, model: Model) -> str:
    """The system message that the data of the model's live version begins with; empty where it has none, or several.

    The first rows speak for the others.
    """
    version = session.scalar(
        select(DatasetVersion)
        .join(FineTuneJob, FineTuneJob.dataset_version_id == DatasetVersion.id)
        .join(Adapter, Adapter.job_id == FineTuneJob.id)
        .where(Adapter.id == model.current_adapter_id)
    )
    if version is None:
        return ""
    try:
        found = {_system_of(row) for row in islice(iter_rows(session, version), _LOOKED_AT)}
    except (BlobNotFound, BlobCorrupt, DatasetError):
        log.exception("dataset_rows_unreadable", version_id=str(version.id))
        return ""
    return found.pop() if len(found) == 1 else ""


def _system_of(row: object) -> str:
    if isinstance(row, ChatRow) and row.messages[0].role == SYSTEM:
        return generalise(row.messages[0].content)
    return ""
