"""The bodies of /v1/models."""

from typing import Literal

from pydantic import BaseModel

from core.catalogue import BaseModel as Base
from core.catalogue import Task
from core.models.models import Adapter, Model


class ModelEntry(BaseModel):
    """A model: one of the tenant's, or one of the base models, which are `owned_by` "adaptary".

    `created` is in seconds since the epoch, 0 for a base model. A model without an adapter is not `ready`. A base
    model's `task` is null: what it can be trained for is in `trainable_for`.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["tenant", "adaptary"]
    task: Task | None
    base_model: str | None
    ready: bool
    version: int | None
    labels: list[str] | None
    trainable_for: list[Task] | None = None

    @classmethod
    def own(cls, model: Model, adapter: Adapter | None) -> "ModelEntry":
        return cls(
            id=model.name,
            created=int(model.created_at.timestamp()),
            owned_by="tenant",
            task=model.task,
            base_model=model.base_model,
            ready=adapter is not None,
            version=adapter.version if adapter else None,
            labels=adapter.labels if adapter else None,
        )

    @classmethod
    def base(cls, base: Base) -> "ModelEntry":
        return cls(
            id=base.id,
            created=0,
            owned_by="adaptary",
            task=None,
            base_model=None,
            ready=True,
            version=None,
            labels=None,
            trainable_for=sorted(base.tasks),
        )


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelEntry]
    has_more: Literal[False] = False
