"""A worker's hold on a batch. The heartbeat is its token: who finds another's there has lost the batch."""

from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core.api_keys import reach_of
from core.clock import now
from core.db import tenant_session
from core.models.api_keys import ApiKey
from core.models.batches import UNFINISHED, Batch
from core.models.tenants import Tenant, TenantStatus
from core.tenancy import KEY_PERMISSIONS, Actor, ActorKind, TenantScope, system_scope
from inference.gateway.batches.asked import STALE
from inference.gateway.batches.lines import Batching


class ClaimLost(Exception):
    """The batch is another worker's by now."""


class Claim:
    """The right to work on one batch; `batch` is as it was when it was claimed or last read."""

    def __init__(self, scope: TenantScope, batch: Batch) -> None:
        self.scope = scope
        self.batch = batch

    @classmethod
    def take(cls, tenant_id: UUID, batch_id: UUID) -> "Claim | None":
        """Claim the batch; None where there is nothing to do, or another worker is at it."""
        scope = system_scope(tenant_id, "worker")
        at = now()
        with tenant_session(scope) as session:
            batch = session.scalars(
                update(Batch)
                .where(
                    Batch.id == batch_id,
                    Batch.status.in_(UNFINISHED),
                    or_(Batch.heartbeat_at.is_(None), Batch.heartbeat_at < at - STALE),
                )
                .values(heartbeat_at=at)
                .returning(Batch)
            ).one_or_none()
            session.commit()
        return cls(scope, batch) if batch else None

    def write(self, session: Session, **values: Any) -> None:
        """Set `values`, with a new heartbeat unless they have one; the caller commits. Raises ClaimLost."""
        values.setdefault("heartbeat_at", now())
        batch = session.scalars(
            update(Batch)
            .where(Batch.id == self.batch.id, Batch.heartbeat_at == self.batch.heartbeat_at)
            .values(**values)
            .returning(Batch)
            .execution_options(populate_existing=True)
        ).one_or_none()
        if batch is None:
            raise ClaimLost
        self.batch = batch

    def beat(self) -> None:
        """Say that the worker lives, and read the batch anew. Raises ClaimLost."""
        with tenant_session(self.scope) as session:
            self.write(session)
            session.commit()

    def let_go(self) -> None:
        """Leave the batch to whoever comes next. Raises ClaimLost."""
        with tenant_session(self.scope) as session:
            self.write(session, heartbeat_at=None)
            session.commit()

    def batching(self) -> Batching | None:
        """For whom to answer lines; None where the batch's API key is not in force any more."""
        with tenant_session(self.scope) as session:
            key = session.get_one(ApiKey, self.batch.api_key_id)
            reach = reach_of(session, key)
            status = session.scalars(select(Tenant.status).where(Tenant.id == self.scope.tenant_id)).one()
        if key.revoked_at is not None or status is not TenantStatus.ACTIVE:
            return None
        actor = Actor(ActorKind.API_KEY, key.id, key.name)
        scope = TenantScope(self.scope.tenant_id, actor, KEY_PERMISSIONS, reach)
        return Batching(scope, self.batch.id, key.id, self.batch.endpoint)
