"""Finding usage facts to correct, over all tenants, and what was corrected so far."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from core.models.tenants import Tenant
from core.models.usage import UsageFact


@dataclass(frozen=True)
class FoundFact:
    """A usage fact, whose it is, and the one that takes it back, if there is one."""

    fact: UsageFact
    tenant: Tenant
    reversal: UsageFact | None


def find_facts(session: Session, request_id: str) -> list[FoundFact]:
    """What a request used, whichever tenant's it was. Wants an operator session."""
    reversal = aliased(UsageFact)
    rows = session.execute(
        select(UsageFact, Tenant, reversal)
        .join(Tenant, Tenant.id == UsageFact.tenant_id)
        .outerjoin(
            reversal, (reversal.tenant_id == UsageFact.tenant_id) & (reversal.reverses_id == UsageFact.id)
        )
        .where(UsageFact.request_id == request_id)
        .order_by(Tenant.name, UsageFact.kind)
    )
    return [FoundFact(fact, tenant, taken_back) for fact, tenant, taken_back in rows]


def find_fact(session: Session, tenant_id: UUID, fact_id: UUID) -> UsageFact | None:
    """A tenant's fact by its id. Wants an operator session."""
    return session.scalar(select(UsageFact).filter_by(tenant_id=tenant_id, id=fact_id))


def list_reversals(session: Session, limit: int = 100) -> list[FoundFact]:
    """The facts that were taken back with what did so, the latest first. Wants an operator session."""
    reversal = aliased(UsageFact)
    rows = session.execute(
        select(UsageFact, Tenant, reversal)
        .join(Tenant, Tenant.id == UsageFact.tenant_id)
        .join(reversal, (reversal.tenant_id == UsageFact.tenant_id) & (reversal.reverses_id == UsageFact.id))
        .order_by(reversal.recorded_at.desc())
        .limit(limit)
    )
    return [FoundFact(fact, tenant, taken_back) for fact, tenant, taken_back in rows]
