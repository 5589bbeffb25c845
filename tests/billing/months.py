"""Months of the past, tenants that were there already, and what they used: time in these tests is an argument."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from billing.close import close_month
from billing.invoices import to_pay_cents
from billing.ledger import Usage, record
from billing.payments import record_payment
from billing.periods import Month
from billing.plans import subscribe
from core.clock import now
from core.models.billing import Invoice, InvoiceLine
from core.models.stripe import StripeCustomer
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
    job_id: UUID | None = None,
    request_id: str | None = None,
) -> None:
    """Put a usage fact of the past into the ledger, which learns of it now."""
    source = UsageSource.JOB if kind is UsageKind.TRAINING else UsageSource.API
    usage = Usage(
        request_id or str(uuid4()),
        kind,
        quantity,
        source,
        occurred_at=at,
        model_id=model_id,
        api_key_id=api_key_id,
        job_id=job_id,
    )
    record(session, tenant.id, usage)
    session.flush()


def pay(session: Session, invoice: Invoice, reference: str = "4711", at: datetime | None = None) -> Invoice:
    """Have finance record a bank transfer of all that is left to pay."""
    return record_payment(session, STAFF, invoice.id, to_pay_cents(session, invoice), reference, at)


def collect_with_stripe(session: Session, tenant: Tenant, month: Month = JANUARY) -> None:
    """Have Stripe collect the tenant's invoices from a month on, so that closing it makes drafts."""
    session.add(
        StripeCustomer(
            tenant_id=tenant.id,
            customer_id=f"cus_{tenant.id}",
            subscription_id=f"sub_{tenant.id}",
            collects_from=month.days[0],
            fetched_at=now(),
        )
    )
    session.flush()


def draft_of(session: Session, tenant: Tenant) -> Invoice:
    """The tenant's invoice of January as a draft; closes the month."""
    collect_with_stripe(session, tenant)
    made = close_month(session, JANUARY, STAFF, at=after(JANUARY))
    return next(invoice for invoice in made if invoice.tenant_id == tenant.id)


def summary(lines: Sequence[InvoiceLine]) -> list[tuple[str, int, int, int]]:
    """What of each line these tests ask for: description, quantity, included quantity, cents."""
    return [(line.description, line.quantity, line.included_quantity, line.amount_cents) for line in lines]
