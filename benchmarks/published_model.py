"""A model that answers, without the fine-tune that would have made it."""

import json
from hashlib import sha256
from uuid import uuid4

import torch
from safetensors.torch import save
from sqlalchemy.orm import Session

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from core.clock import now
from core.models.datasets import Dataset, DatasetStatus, DatasetVersion
from core.models.fine_tune_jobs import FineTuneJob, JobStatus, Method
from core.models.models import Adapter, Model
from core.storage import blob_store, tenant_key
from core.tenancy import TenantScope

_LABELS = ["delivery", "other", "refund"]
_RANK = 8


def publish(session: Session, scope: TenantScope, name: str) -> Adapter:
    """Give the tenant a classifier `name` with a rank-8 adapter of random weights; the caller commits."""
    base = get_base_model(DEFAULT_BASE_MODEL)
    file = _adapter_file()
    dataset = Dataset(id=uuid4(), name=name)
    version = DatasetVersion(
        id=uuid4(),
        dataset_id=dataset.id,
        number=1,
        status=DatasetStatus.READY,
        format="csv",
        size_bytes=1,
    )
    model = Model(id=uuid4(), name=name, base_model=base.id)
    job = FineTuneJob(
        id=uuid4(),
        model_id=model.id,
        dataset_version_id=version.id,
        base_model=base.id,
        settings={},
        seed=0,
        status=JobStatus.SUCCEEDED,
        finished_at=now(),
    )
    blob = blob_store().put(tenant_key(session, scope.tenant_id), f"adapters/{uuid4()}.safetensors", file)
    adapter = Adapter(
        id=uuid4(),
        model_id=model.id,
        job_id=job.id,
        version=1,
        digest=sha256(file).hexdigest(),
        blob=blob.name,
        size_bytes=len(file),
        base_model=base.id,
        base_digest=base.sha256,
        method=Method.LORA,
        rank=_RANK,
        labels=_LABELS,
        evaluation={},
        lineage={},
        promotable=True,
    )
    for row in (dataset, version, model, job, adapter):
        row.tenant_id = scope.tenant_id
        session.add(row)
        session.flush()
    model.current_adapter_id = adapter.id
    return adapter


def _adapter_file() -> bytes:
    base = get_base_model(DEFAULT_BASE_MODEL)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.02

    tensors = {"head.weight": random(len(_LABELS), base.hidden_size), "head.bias": random(len(_LABELS))}
    for layer in range(6):
        for name in ("query", "value"):
            prefix = f"encoder.layer.{layer}.attention.self.{name}"
            tensors[f"{prefix}.lora_A.weight"] = random(_RANK, base.hidden_size)
            tensors[f"{prefix}.lora_B.weight"] = random(base.hidden_size, _RANK)
    metadata = {
        "format": "adaptary-adapter/1",
        "task": "classification",
        "base_model": base.id,
        "base_digest": base.sha256,
        "method": "lora",
        "rank": str(_RANK),
        "alpha": str(2 * _RANK),
        "labels": json.dumps(_LABELS),
        "max_length": str(base.max_length),
    }
    return save(tensors, metadata=metadata)
