"""The bodies of /v1/models."""

from pydantic import BaseModel


class ModelEntry(BaseModel):
    """A model of the tenant's. `created` is in seconds since the epoch; a model without an adapter is not
    `ready`."""

    id: str
    object: str = "model"
    created: int
    task: str
    base_model: str
    ready: bool
    version: int | None
    labels: list[str] | None


class ModelList(BaseModel):
    object: str = "list"
    data: list[ModelEntry]
    has_more: bool = False
