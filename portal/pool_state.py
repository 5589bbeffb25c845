"""The shared pool as the operator sees it: what is in its memory, and what waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.models import Adapter, Model
from portal.tenants import find_names


@dataclass(frozen=True)
class ResidentAdapter:
    """An adapter in the pool's memory. `tenant` and `model` are names where the rows still exist."""

    digest: str
    base_model: str
    size_bytes: int
    tenant_id: UUID
    tenant: str | None
    model: str | None


@dataclass(frozen=True)
class WaitingTenant:
    """What of one tenant waits in the pool's queue, in tokens."""

    tenant_id: UUID
    tenant: str | None
    tokens: int


@dataclass(frozen=True)
class PoolState:
    base_models: Sequence[str]
    adapters: Sequence[ResidentAdapter]
    adapter_bytes: int
    adapter_budget_bytes: int
    queued_tokens: int
    queues: Sequence[WaitingTenant]

    @property
    def share_used(self) -> float:
        """How full the memory for adapters is, from 0 to 1."""
        return min(1.0, self.adapter_bytes / self.adapter_budget_bytes) if self.adapter_budget_bytes else 0.0


def describe(session: Session, state: dict[str, Any]) -> PoolState:
    """Put names to what the pool answered (inference/pool/server.py). `session` is an operator session."""
    adapters, queues = state["adapters"], state["queues"]
    tenants = find_names(
        session, {UUID(tenant) for tenant in (*queues, *(row["tenant"] for row in adapters))}
    )
    models = {
        (tenant_id, digest): name
        for tenant_id, digest, name in session.execute(
            select(Adapter.tenant_id, Adapter.digest, Model.name)
            .join(Model, Model.id == Adapter.model_id)
            .where(Adapter.digest.in_({row["adapter"] for row in adapters}))
        )
    }
    return PoolState(
        base_models=state["base_models"],
        adapters=[
            ResidentAdapter(
                digest=row["adapter"],
                base_model=row["base"],
                size_bytes=row["bytes"],
                tenant_id=UUID(row["tenant"]),
                tenant=tenants.get(UUID(row["tenant"])),
                model=models.get((UUID(row["tenant"]), row["adapter"])),
            )
            for row in adapters
        ],
        adapter_bytes=state["adapter_bytes"],
        adapter_budget_bytes=state["adapter_budget_bytes"],
        queued_tokens=state["queued_tokens"],
        queues=[
            WaitingTenant(UUID(tenant), tenants.get(UUID(tenant)), tokens)
            for tenant, tokens in queues.items()
        ],
    )
