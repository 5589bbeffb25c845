"""The audit log: who changed what, and when. Rows are added in the change's own transaction and never altered."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from core.models.audit import AuditEvent, StaffEvent
from core.tenancy import Actor, ActorKind, TenantScope


class Target(Protocol):
    """Anything that an action can be done to: a row with an id."""

    @property
    def id(self) -> Any: ...

    @property
    def __tablename__(self) -> str: ...


def record(
    session: Session, scope: TenantScope, action: str, target: Target, detail: Mapping[str, Any] | None = None
) -> None:
    """Note that `scope`'s actor did `action` ("dataset.accepted") to `target` in their tenant.

    `detail` is shown to the tenant's admins as it is: no secrets, and no personal data from datasets.
    """
    session.add(
        AuditEvent(
            tenant_id=scope.tenant_id,
            actor_kind=scope.actor.kind,
            actor_id=scope.actor.id,
            actor_label=scope.actor.label,
            action=action,
            target_type=target.__tablename__,
            target_id=str(target.id),
            detail=dict(detail or {}),
        )
    )


def record_for_tenant(
    session: Session,
    tenant_id: UUID,
    actor: Actor,
    action: str,
    target: Target,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note in a tenant's log what was done to it from outside. `session` is an operator session.

    Of the operator's staff it says no more than that the operator did it; `record_staff` notes who.
    """
    if actor.kind is ActorKind.STAFF:
        actor = Actor(actor.kind, None, "operator")
    record(session, TenantScope(tenant_id, actor, frozenset()), action, target, detail)


def record_staff(
    session: Session,
    actor: Actor,
    action: str,
    target_type: str,
    target_id: UUID | str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note what one of the operator's staff did. `session` is an operator session."""
    session.add(
        StaffEvent(
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label,
            action=action,
            target_type=target_type,
            target_id=str(target_id),
            detail=dict(detail or {}),
        )
    )
