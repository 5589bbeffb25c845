"""Rows of fine-tunes as workers leave them, for tests of pages: nothing is trained, and there are no blobs."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from core.clock import now
from core.db import tenant_session
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob, JobStatus, Method
from core.models.models import Adapter, Model
from core.storage import tenant_key
from core.tenancy import TenantScope
from training.data.columns import ColumnMapping
from training.data.files import DataFormat
from training.data.readers import Reading
from training.data.sources import Source, seal_source
from training.recipe.settings import FineTuneSettings

LABELS = ["delivery", "refund"]
_COLUMNS = ColumnMapping("text", "label")
_SOURCE = Source("messages.csv", _COLUMNS.columns, Reading(DataFormat.CSV), _COLUMNS)
BASE = get_base_model(DEFAULT_BASE_MODEL)


def add(scope: TenantScope, cls: Any, **values: Any) -> Any:
    """A row of the tenant's, stored."""
    with tenant_session(scope) as session:
        row = cls(**{"tenant_id": scope.tenant_id, "id": uuid4(), **values})
        session.add(row)
        session.commit()
    return row


def get(scope: TenantScope, cls: Any, row_id: UUID) -> Any:
    """A row as it is stored now."""
    with tenant_session(scope) as session:
        return session.get_one(cls, row_id)


def change(scope: TenantScope, row: Any, **values: Any) -> None:
    """Store other values in a row."""
    with tenant_session(scope) as session:
        stored = session.get_one(type(row), row.id)
        for name, value in values.items():
            setattr(stored, name, value)
        session.commit()


def add_version(
    scope: TenantScope, *, name: str = "Messages", number: int = 1, **values: Any
) -> DatasetVersion:
    """A dataset version that can be trained on, of a dataset of its own."""
    dataset = add(scope, Dataset, name=name)
    given = {
        "status": DatasetStatus.READY,
        "format": "csv",
        "size_bytes": 100,
        "digest": "d" * 64,
        "blob": f"datasets/{uuid4()}/rows.jsonl",
        "rows": 100,
        "labels": LABELS,
        "split_counts": {"train": 80, "validation": 10, "test": 10},
        "ready_at": now(),
    }
    version: DatasetVersion = add(
        scope, DatasetVersion, dataset_id=dataset.id, number=number, **{**given, **values}
    )
    with tenant_session(scope) as session:
        key = tenant_key(session, scope.tenant_id)
    change(scope, version, sealed_source=seal_source(key, version, _SOURCE))
    return version


def add_model(scope: TenantScope, name: str = "triage") -> Model:
    model: Model = add(scope, Model, name=name, base_model=BASE.id)
    return model


def add_job(
    scope: TenantScope, model: Model, version: DatasetVersion, status: JobStatus, **values: Any
) -> FineTuneJob:
    """A job in a status."""
    begun = status is not JobStatus.QUEUED
    given = {
        "base_model": BASE.id,
        "method": Method.LORA,
        "settings": FineTuneSettings().to_json(),
        "seed": 7,
        "started_at": now() - timedelta(minutes=2) if begun else None,
        "finished_at": now() if status.is_final else None,
    }
    job: FineTuneJob = add(
        scope,
        FineTuneJob,
        model_id=model.id,
        dataset_version_id=version.id,
        status=status,
        **{**given, **values},
    )
    return job


def evaluation(
    accuracy: float = 0.9, probe: float = 0.8, reason: str | None = None, f1: dict[str, float] | None = None
) -> dict[str, Any]:
    """What a job stores of its test; `reason` is why its adapter may not be promoted, `f1` by label."""
    by_label = f1 or dict.fromkeys(LABELS, accuracy)
    around = {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}
    right = round(10 * accuracy)
    return {
        "labels": LABELS,
        "test": {
            "rows": 20,
            "accuracy": around,
            "macro_f1": around,
            "calibration_error": 0.031,
            "per_class": [
                {"label": label, "precision": value, "recall": value, "f1": value, "support": 10}
                for label, value in by_label.items()
            ],
            "confusion": [[right, 10 - right], [10 - right, right]],
        },
        "validation": {},
        "probe": {"accuracy": probe, "macro_f1": probe},
        "label_errors": [{"row": 4711, "label": "refund", "suggested": "delivery", "confidence": 0.97}],
        "promotion": {"promotable": reason is None, "reason": reason},
    }


def add_trained(
    scope: TenantScope, model: Model, version: DatasetVersion, number: int = 1, **measured: Any
) -> Adapter:
    """A version of `model` with the job that made it; `measured` as in `evaluation`."""
    found = evaluation(**measured)
    job = add_job(scope, model, version, JobStatus.SUCCEEDED, evaluation=found, training_tokens=1234)
    adapter: Adapter = add(
        scope,
        Adapter,
        model_id=model.id,
        job_id=job.id,
        version=number,
        digest="a" * 64,
        blob=f"adapters/{uuid4()}.safetensors",
        size_bytes=100,
        base_model=BASE.id,
        base_digest=BASE.sha256,
        method=Method.LORA,
        rank=16,
        labels=LABELS,
        evaluation=found,
        lineage={"code": "c" * 40, "packages": {"torch": "2.13.0"}},
        promotable=found["promotion"]["promotable"],
    )
    return adapter
