"""The blobs that a job makes: checkpoints, and at last an adapter.

Each attempt has names of its own, so that two processes on one job never write to the same blob; and they follow
from the attempt's number, so that what a killed one has left is found and deleted. A blob counts once the job's or
the adapter's row names it.
"""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy.orm import Session

from core.db import after_commit
from core.models.fine_tune_jobs import FineTuneJob
from core.storage import TenantKey, blob_store, tenant_key

SLOTS = ("a", "b")
"""An attempt's checkpoints take turns in two blobs: the new one is written while the row names the other."""


def checkpoint_name(job_id: UUID, attempt: int, slot: str) -> str:
    return f"checkpoints/{job_id}/{attempt}-{slot}"


def adapter_name(job_id: UUID, attempt: int) -> str:
    return f"adapters/{job_id}/{attempt}.safetensors"


def delete_others(key: TenantKey, job_id: UUID, attempts: int, keep: str | None) -> None:
    """Delete what the job's first `attempts` attempts have made, but for the blob `keep`."""
    for name in _names(job_id, attempts):
        if name != keep:
            blob_store().delete(key, name)


def delete_others_after_commit(session: Session, job: FineTuneJob, keep: str | None) -> None:
    """Delete what the job's attempts have made, but for the blob `keep`, once `session` has committed."""
    key, job_id, attempts = tenant_key(session, job.tenant_id), job.id, job.attempt
    after_commit(session, lambda: delete_others(key, job_id, attempts, keep))


def _names(job_id: UUID, attempts: int) -> Iterator[str]:
    for attempt in range(1, attempts + 1):
        for slot in SLOTS:
            yield checkpoint_name(job_id, attempt, slot)
        yield adapter_name(job_id, attempt)
