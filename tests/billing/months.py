"""Months of the past, tenants that were there already, and what they used: time in these tests is an argument."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from billing.ledger import Usage, record
from billing.periods import Month
from billing.plans import subscribe
from core.models.billing import InvoiceLine
from core.models.tenants import Tenant, TenantStatus
from core.models.usage import UsageKind, UsageSource
from core.tenancy import Actor, ActorKind

JANUARY, FEBRUARY, MARCH, APRIL = (Month(2025, number) for number in range(1, 5))
STAFF = Actor(ActorKind.STAFF, UUID(int=1), "joan@operator.example")

_names = count(1)


def on(day: int, month: Month = JANUARY, hour: int = 12) -> datetime:
    """Noon, or another hour, of a day of the month."""
    return datetime(month.year, month.month, day, hour, tzinfo=UTC)


def after(month: Month) -> datetime:
    """When a month is over, and its invoices are due."""
    return month.end + timedelta(hours=1)


def old_tenant(session: Session, plan: str | None = None, since: datetime = JANUARY.start) -> Tenant:
    """A tenant that signed up in the past."""
    tenant = Tenant(
        id=uuid4(),
        name=f"Old tenant {next(_names)}",
        status=TenantStatus.ACTIVE,
        wrapped_data_key=b"",
        terms_version="1",
        created_at=since,
    )
    session.add(tenant)
    session.flush()
    if plan is not None:
        subscribe(session, tenant.id, plan, since)
    return tenant


def use(
    session: Session,
    tenant: Tenant,
    at: datetime,
    quantity: int,
    kind: UsageKind = UsageKind.PREDICTION,
    *,
    model_id: UUID | None = None,
    api_key_id: UUID | None = None,
) -> None:
    """Put a usage fact of the past into the ledger, which learns of it now."""
    source = UsageSource.JOB if kind is UsageKind.TRAINING else UsageSource.API
    usage = Usage(
        str(uuid4()), kind, quantity, source, occurred_at=at, model_id=model_id, api_key_id=api_key_id
    )
    record(session, tenant.id, usage)
    session.flush()


def summary(lines: Sequence[InvoiceLine]) -> list[tuple[str, int, int, int]]:
    """What of each line these tests ask for: description, quantity, included quantity, cents."""
    return [(line.description, line.quantity, line.included_quantity, line.amount_cents) for line in lines]
