"""Tenants as the operator sees them: who they are, what they use, and whether they may go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.plans import current_plan
from core import audit
from core.models.api_keys import ApiKey
from core.models.datasets import Dataset
from core.models.models import Model
from core.models.tenants import Tenant, TenantStatus
from core.models.usage import ANSWERING_KINDS, UsageFact, UsageKind
from core.models.users import User
from core.tenancy import Actor

LISTED = 500
"""Rows of the list: more want a search."""


@dataclass(frozen=True)
class ListedTenant:
    """A tenant in the list, with a month's usage in tokens."""

    tenant: Tenant
    users: int
    prediction_tokens: int
    training_tokens: int


@dataclass(frozen=True)
class TenantOverview:
    """A tenant on its page. `last_used_at` is when its newest usage happened."""

    tenant: Tenant
    plan_name: str
    users: Sequence[User]
    datasets: int
    models: int
    keys: int
    requests: int
    prediction_tokens: int
    training_tokens: int
    last_used_at: datetime | None


def list_tenants(session: Session, month: Month, name_part: str = "") -> Sequence[ListedTenant]:
    """The tenants whose name has `name_part`, by name. `session` is an operator session."""
    users = (
        select(User.tenant_id, func.count().label("users"))
        .where(User.deactivated_at.is_(None))
        .group_by(User.tenant_id)
        .subquery()
    )
    usage = (
        select(
            UsageFact.tenant_id,
            func.sum(UsageFact.quantity).filter(UsageFact.kind.in_(ANSWERING_KINDS)).label("prediction"),
            func.sum(UsageFact.quantity).filter(UsageFact.kind == UsageKind.TRAINING).label("training"),
        )
        .where(UsageFact.occurred_at >= month.start, UsageFact.occurred_at < month.end)
        .group_by(UsageFact.tenant_id)
        .subquery()
    )
    rows = session.execute(
        select(Tenant, users.c.users, usage.c.prediction, usage.c.training)
        .outerjoin(users, users.c.tenant_id == Tenant.id)
        .outerjoin(usage, usage.c.tenant_id == Tenant.id)
        .where(Tenant.name.icontains(name_part, autoescape=True))
        .order_by(func.lower(Tenant.name), Tenant.id)
        .limit(LISTED)
    )
    return [
        ListedTenant(tenant, members or 0, int(prediction or 0), int(training or 0))
        for tenant, members, prediction, training in rows
    ]


def overview_of(session: Session, tenant: Tenant, month: Month) -> TenantOverview:
    """A tenant's page for a month. `session` is an operator session."""

    def count(table: type[Dataset] | type[Model] | type[ApiKey], *criteria: ColumnElement[bool]) -> int:
        query = select(func.count(table.id)).where(table.tenant_id == tenant.id, *criteria)
        return session.scalar(query) or 0

    by_kind = {
        kind: (int(tokens), int(requests))
        for kind, tokens, requests in session.execute(
            select(UsageFact.kind, func.sum(UsageFact.quantity), UsageFact.request_count())
            .where(
                UsageFact.tenant_id == tenant.id,
                UsageFact.occurred_at >= month.start,
                UsageFact.occurred_at < month.end,
            )
            .group_by(UsageFact.kind)
        )
    }
    answering = [by_kind[kind] for kind in ANSWERING_KINDS if kind in by_kind]
    training_tokens, _ = by_kind.get(UsageKind.TRAINING, (0, 0))
    return TenantOverview(
        tenant=tenant,
        plan_name=current_plan(session, tenant.id).name,
        users=session.scalars(select(User).where(User.tenant_id == tenant.id).order_by(User.name)).all(),
        datasets=count(Dataset),
        models=count(Model),
        keys=count(ApiKey, ApiKey.revoked_at.is_(None)),
        requests=sum(requests for _, requests in answering),
        prediction_tokens=sum(tokens for tokens, _ in answering),
        training_tokens=training_tokens,
        last_used_at=session.scalar(
            select(func.max(UsageFact.occurred_at)).where(UsageFact.tenant_id == tenant.id)
        ),
    )


def suspend(session: Session, actor: Actor, tenant: Tenant, reason: str) -> None:
    """Shut a tenant out: its users and its keys are refused from the next request on. Its data stays.

    `session` is an operator session, which the caller commits. Has no effect on a suspended tenant.
    """
    if tenant.status is TenantStatus.ACTIVE:
        tenant.status = TenantStatus.SUSPENDED
        _record(session, actor, "tenant.suspended", tenant, {"name": tenant.name, "reason": reason})


def reactivate(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Let a suspended tenant in again. `session` is an operator session, which the caller commits."""
    if tenant.status is TenantStatus.SUSPENDED:
        tenant.status = TenantStatus.ACTIVE
        _record(session, actor, "tenant.reactivated", tenant, {"name": tenant.name})


def find_names(session: Session, tenant_ids: set[UUID]) -> dict[UUID, str]:
    """The names of those tenants that exist. `session` is an operator session."""
    rows = session.execute(select(Tenant.id, Tenant.name).where(Tenant.id.in_(tenant_ids)))
    return dict(rows.all())


def _record(session: Session, actor: Actor, action: str, tenant: Tenant, detail: dict[str, str]) -> None:
    audit.record_staff(session, actor, action, Tenant.__tablename__, tenant.id, detail)
    audit.record_for_tenant(session, tenant.id, actor, action, tenant)  # and not why
