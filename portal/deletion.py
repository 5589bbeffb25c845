"""Deleting a tenant, as people ask for it: with days of grace, in which it can be taken back.

portal/destruction.py does it when they are over. Every `session` here is an operator session, which the caller commits.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.notifications import Event, notify
from core import audit
from core.clock import now
from core.config import get_settings
from core.models.tenants import Tenant, TenantDeletion, TenantStatus
from core.tenancy import Actor, ActorKind


class DeletionError(Exception):
    """The tenant cannot be deleted, or kept, as asked; the message says why, and is fit to show."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def find_deletion(session: Session, tenant_id: UUID) -> TenantDeletion | None:
    """The deletion that stands: asked for and not taken back. A tenant's own session will do."""
    return session.scalar(
        select(TenantDeletion).where(
            TenantDeletion.tenant_id == tenant_id, TenantDeletion.withdrawn_at.is_(None)
        )
    )


def request_deletion(session: Session, actor: Actor, tenant_id: UUID, typed_name: str) -> TenantDeletion:
    """Have the tenant deleted after the days of grace; its keys are refused from the next request on.

    To ask twice changes nothing. Raises DeletionError where `typed_name` is not the tenant's name.
    """
    tenant = _lock(session, tenant_id)
    if typed_name.strip() != tenant.name.strip():
        raise DeletionError("name", f"Type the tenant's name, “{tenant.name}”.")
    standing = find_deletion(session, tenant_id)
    if standing is not None:
        return standing
    at = now()
    deletion = TenantDeletion(
        tenant_id=tenant_id,
        requested_by_kind=actor.kind,
        requested_by_id=actor.id,
        requested_at=at,
        due_at=at + timedelta(days=get_settings().deletion_grace_days),
        previous_status=tenant.status,
    )
    session.add(deletion)
    tenant.status = TenantStatus.DELETING
    _record(session, actor, "tenant.deletion_requested", tenant, {"due_at": deletion.due_at.isoformat()})
    session.flush()
    _tell(
        session,
        deletion,
        Event.DELETION_REQUESTED,
        subject=f"{tenant.name} is to be deleted",
        body=f"{tenant.name} is to be deleted for good on {deletion.due_at:%Y-%m-%d %H:%M} UTC, as {_by(actor)} asked "
        "for. Its API keys are refused from now on. Until then an admin can keep it after all, on the page Delete of "
        "the portal.",
    )
    return deletion


def withdraw_deletion(session: Session, actor: Actor, tenant_id: UUID) -> None:
    """Keep the tenant after all, as it was before. Raises DeletionError where it is too late, or nobody asked."""
    tenant = _lock(session, tenant_id)
    deletion = find_deletion(session, tenant_id)
    if deletion is None or tenant.status is not TenantStatus.DELETING:
        raise DeletionError("", f"{tenant.name} is {tenant.status}: there is no deletion to take back.")
    deletion.withdrawn_at = now()
    tenant.status = deletion.previous_status
    _record(session, actor, "tenant.deletion_withdrawn", tenant, {})
    _tell(
        session,
        deletion,
        Event.DELETION_WITHDRAWN,
        subject=f"{tenant.name} is kept",
        body=f"{tenant.name} is not deleted: {_by(actor)} took that back. Its API keys work again.",
    )


def _by(actor: Actor) -> str:
    return "the operator's staff" if actor.kind is ActorKind.STAFF else actor.label


def _tell(session: Session, deletion: TenantDeletion, event: Event, *, subject: str, body: str) -> None:
    notify(
        session,
        deletion.tenant_id,
        event,
        f"{event}:{deletion.id}",
        subject=subject,
        body=body,
        payload={"due_at": deletion.due_at.isoformat()},
    )


def _lock(session: Session, tenant_id: UUID) -> Tenant:
    return session.get_one(Tenant, tenant_id, with_for_update=True, populate_existing=True)


def _record(session: Session, actor: Actor, action: str, tenant: Tenant, detail: dict[str, str]) -> None:
    if actor.kind is ActorKind.STAFF:
        audit.record_staff(session, actor, action, Tenant.__tablename__, tenant.id, detail)
    audit.record_for_tenant(session, tenant.id, actor, action, tenant, detail)
