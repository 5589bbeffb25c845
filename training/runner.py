"""Runs one job: takes it, has the recipe train, and writes down how that ended."""

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.catalogue import BaseModel, get_base_model
from core.db import tenant_session
from core.models.datasets import Dataset, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.storage import BlobCorrupt, BlobNotFound, TenantKey, blob_store, tenant_key
from core.tenancy import TenantScope
from training import endings, scheduler
from training.artifacts import adapter_name, delete_others
from training.confined.errors import ChildLost
from training.endings import Trained
from training.inputs import load
from training.leases import Lease, LeaseLost
from training.lineage import describe
from training.recipe.data import TrainingData
from training.recipe.errors import RecipeError
from training.recipe.monitor import Monitor
from training.recipe.result import Result
from training.recipe.settings import FineTuneSettings, SettingsError
from training.recorder import Cancelled, Recorder, ToldToEnd

log = structlog.get_logger(__name__)

Ending = Callable[[Session, TenantScope, FineTuneJob], None]

_OUR_FAULT = (
    "Something went wrong on our side, not with your data. Try again; if it happens again, tell support."
)


class Recipe(Protocol):
    """training.recipe.by_task.fine_tune, which imports torch and reads a tenant's texts, and is therefore called in a
    process of its own (training.confined.process)."""

    def __call__(
        self,
        data: TrainingData[Any],
        settings: FineTuneSettings,
        base: BaseModel,
        seed: int,
        monitor: Monitor,
        checkpoint: bytes | None = None,
    ) -> Result: ...


def run_next(recipe_of: Callable[[Lease], Recipe]) -> None:
    """Run the job whose turn it is, if one waits, and have a worker hear of the one after it."""
    with _told_to_end() as is_told_to_end:
        lease = scheduler.claim_next()
        if lease is not None:
            run(lease, recipe_of(lease), is_told_to_end)
    scheduler.ring_for_waiting()


def run(lease: Lease, recipe: Recipe, is_told_to_end: Callable[[], bool]) -> None:
    """Run the leased job to one of its endings.

    Where the database, the storage or the memory fails, the lease is left to run out: by then what was away may be
    back, and the next attempt goes better.
    """
    context = log.bind(tenant_id=str(lease.scope.tenant_id), job_id=str(lease.job_id), attempt=lease.attempt)
    try:
        try:
            _end(lease, _attempt(lease, recipe, is_told_to_end))
        except LeaseLost:
            raise
        except Exception as error:
            # The trace alone: an exception's own words may quote what it choked on.
            trace = "".join(traceback.format_tb(error.__traceback__))
            context.error("fine_tune_broke", error=type(error).__name__, trace=trace)
            if not _may_pass(error):
                _end(lease, partial(endings.fail, message=_OUR_FAULT))
    except LeaseLost:
        context.warning("fine_tune_lease_lost")
        _delete_adapter(lease)


def _attempt(lease: Lease, recipe: Recipe, is_told_to_end: Callable[[], bool]) -> Ending:
    """Train, and return how the attempt is to end."""
    try:
        return partial(endings.succeed, trained=_train(lease, recipe, is_told_to_end))
    except Cancelled:
        return endings.cancel
    except ToldToEnd:
        return endings.hand_over
    except ChildLost:
        return endings.lose
    except (RecipeError, SettingsError) as error:
        return partial(endings.fail, message=str(error))


def _end(lease: Lease, ending: Ending) -> None:
    with tenant_session(lease.scope) as session:
        ending(session, lease.scope, lease.hold(session))
        session.commit()


def _may_pass(error: Exception) -> bool:
    """Whether the next attempt may go better."""
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's
    return out_of_memory or isinstance(error, OSError | OperationalError)


def _train(lease: Lease, recipe: Recipe, is_told_to_end: Callable[[], bool]) -> Trained:
    with tenant_session(lease.scope) as session:
        job = session.get_one(FineTuneJob, lease.job_id)
        version = session.get_one(DatasetVersion, job.dataset_version_id)
        dataset = session.get_one(Dataset, version.dataset_id)
        key = tenant_key(session, lease.scope.tenant_id)
    delete_others(key, job.id, lease.attempt - 1, keep=job.checkpoint_blob)
    recorder = Recorder(lease, key, job.checkpoint_blob, is_told_to_end)
    recorder.phase(JobStatus.PREPARING, "Reading the dataset")
    data = load(lease.scope, version, lambda: recorder.beat(job.progress, None))
    base = get_base_model(job.base_model)
    result = recipe(
        data,
        FineTuneSettings.from_json(job.settings),
        base,
        job.seed,
        recorder,
        checkpoint=_checkpoint(job, key, recorder),
    )
    recorder.flush()
    return Trained(
        file=blob_store().put(key, adapter_name(job.id, lease.attempt), result.adapter_file),
        base_digest=base.sha256,
        labels=list(data.labels),
        rank=result.rank,
        evaluation=result.evaluation,
        promotable=result.promotable,
        training_tokens=result.training_tokens,
        texts=len(data.train),
        lineage=describe(job, dataset, version, base),
    )


def _checkpoint(job: FineTuneJob, key: TenantKey, recorder: Recorder) -> bytes | None:
    """The job's last checkpoint, if it has one that can be read."""
    if job.checkpoint_blob is None:
        return None
    try:
        return blob_store().get(key, job.checkpoint_blob)
    except (BlobNotFound, BlobCorrupt):
        recorder.log("The last checkpoint cannot be read; training starts from the beginning.")
        return None


def _delete_adapter(lease: Lease) -> None:
    """Delete what a process made that lost its lease."""
    with tenant_session(lease.scope) as session:
        key = tenant_key(session, lease.scope.tenant_id)
    blob_store().delete(key, adapter_name(lease.job_id, lease.attempt))


@contextmanager
def _told_to_end() -> Iterator[Callable[[], bool]]:
    """Within, SIGTERM only sets a flag, which the recorder looks at: a job is put back in order, between two steps."""
    told = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
