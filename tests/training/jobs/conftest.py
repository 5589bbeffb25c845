"""Tenants with data that is ready, and what their jobs have come to."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from core.clock import now
from core.config import get_settings
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob, JobLogLine, JobMetric
from core.models.models import Adapter, Model
from core.models.usage import UsageFact
from core.queues import Queue
from core.storage import blob_store, tenant_key
from core.tenancy import TenantScope, system_scope
from stack.child import ROOT, Child
from training import jobs, runner, scheduler
from training.leases import Lease
from training.recipe.settings import FineTuneSettings

ROWS = [
    {
        "text": f"[PERSON_7F3KQ2ZD] asks number {number}",
        "label": "ab"[number % 2],
        "split": split,
        "row": number,
    }
    for number, split in enumerate(["train"] * 8 + ["validation"] * 2 + ["test"] * 2, start=1)
]


@dataclass(frozen=True)
class Workshop:
    """One tenant with a dataset, which launches jobs; and a worker's view of them, without RQ."""

    scope: TenantScope
    version: DatasetVersion

    def launch(self, name: str = "support", **options: Any) -> UUID:
        options = {"version": self.version, "settings": FineTuneSettings(), **options}
        with tenant_session(self.scope) as session:
            job = jobs.launch(session, self.scope, model_name=name, **options)
            session.commit()
        return job.id

    def cancel(self, job_id: UUID) -> None:
        with tenant_session(self.scope) as session:
            jobs.cancel(session, self.scope, session.get_one(FineTuneJob, job_id))
            session.commit()

    def claim(self) -> Lease:
        lease = scheduler.claim_next()
        assert lease is not None
        return lease

    def run(self, recipe: Any) -> None:
        """Run the next job in this process."""
        runner.run(self.claim(), recipe, lambda: False)

    def job(self, job_id: UUID) -> FineTuneJob:
        with tenant_session(self.scope) as session:
            return session.get_one(FineTuneJob, job_id)

    def lines(self, job_id: UUID) -> list[str]:
        with tenant_session(self.scope) as session:
            order = select(JobLogLine.message).where(JobLogLine.job_id == job_id).order_by(JobLogLine.at)
            return list(session.scalars(order))

    def metrics(self, job_id: UUID) -> dict[tuple[str, int], float]:
        with tenant_session(self.scope) as session:
            found = session.scalars(select(JobMetric).where(JobMetric.job_id == job_id))
            return {(metric.name, metric.step): metric.value for metric in found}

    def all(self, cls: type[Any]) -> list[Any]:
        with tenant_session(self.scope) as session:
            return list(session.scalars(select(cls).order_by(cls.created_at)))

    def adapters(self) -> list[Adapter]:
        return self.all(Adapter)

    def facts(self) -> list[UsageFact]:
        return self.all(UsageFact)

    def model(self, name: str = "support") -> Model:
        with tenant_session(self.scope) as session:
            return session.scalars(select(Model).where(Model.name == name)).one()

    def actions(self) -> list[str]:
        with tenant_session(self.scope) as session:
            return list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.at)))

    def blobs(self) -> list[str]:
        """The tenant's blobs, but for its datasets'."""
        folder = Path(get_settings().blob_url.removeprefix("file://"), str(self.scope.tenant_id))
        names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        return sorted(name for name in names if not name.startswith("datasets/"))


@pytest.fixture
def make_workshop(make_tenant) -> Callable[[], Workshop]:
    """`make_workshop()`: a new tenant with a small dataset that is ready."""

    def make_workshop() -> Workshop:
        scope = system_scope(make_tenant().id, "test")
        with tenant_session(scope) as session:
            name = f"datasets/{uuid4()}/rows.jsonl"
            rows = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
            blob = blob_store().put(tenant_key(session, scope.tenant_id), name, rows)
            dataset = Dataset(id=uuid4(), tenant_id=scope.tenant_id, name="Messages")
            version = DatasetVersion(
                tenant_id=scope.tenant_id,
                dataset_id=dataset.id,
                number=1,
                status=DatasetStatus.READY,
                format="csv",
                size_bytes=len(rows),
                digest=blob.digest,
                blob=name,
                rows=len(ROWS),
                labels=["a", "b"],
                ready_at=now(),
            )
            session.add(dataset)
            session.flush()
            session.add(version)
            session.commit()
        return Workshop(scope, version)

    return make_workshop


@pytest.fixture
def workshop(make_workshop: Callable[[], Workshop]) -> Workshop:
    return make_workshop()


@pytest.fixture
def start_worker(services: object) -> Iterator[Callable[[], Child]]:
    """`start_worker()`: one more worker of the fine-tune queue."""
    workers: list[Child] = []

    def start_worker() -> Child:
        command = [sys.executable, "-m", "training.worker", Queue.FINE_TUNE]
        workers.append(subprocess.Popen(command, cwd=ROOT, env=os.environ))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.kill()
        worker.wait()


def horse_of(worker: Child) -> int:
    """The process id of the work-horse, in which a worker runs its job."""
    [horse] = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return int(horse)


def set_job(job_id: UUID, **values: Any) -> None:
    """Write to a job past its lease."""
    with operator_session("test") as session:
        session.execute(update(FineTuneJob).where(FineTuneJob.id == job_id).values(**values))
        session.commit()


def let_lease_run_out(job_id: UUID) -> None:
    set_job(job_id, lease_expires_at=func.clock_timestamp() - timedelta(seconds=1))


def reconcile() -> None:
    """What the clock does every few seconds."""
    with operator_session("test") as session:
        scheduler.reconcile(session)
        session.commit()
