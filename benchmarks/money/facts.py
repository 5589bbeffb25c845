"""Tenants with keys, and as many usage facts of theirs as a benchmark wants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from billing.ledger import Fact, Usage
from billing.periods import Month
from core.models.api_keys import ApiKey
from core.models.tenants import Tenant
from core.models.usage import UsageKind, UsageSource

_MILLISECOND = timedelta(milliseconds=1)

# Spread evenly over the month and over four kinds; written by the database, as it is not what is measured.
_FILL = text(
    """
    INSERT INTO usage_facts (id, tenant_id, request_id, kind, quantity, inputs, source, api_key_id, occurred_at)
    SELECT gen_random_uuid(), k.tenant_id, 'r' || n,
        (ARRAY['prediction', 'training', 'chat_input', 'chat_output'])[1 + n % 4], 1 + n % 4000, 1, 'api', k.id,
        CAST(:start AS timestamptz) + (CAST(:end AS timestamptz) - CAST(:start AS timestamptz)) * n / :facts
    FROM api_keys k, generate_series(0, :facts - 1) n WHERE k.tenant_id = ANY(:tenants)
    """
)


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant and its key."""

    tenant_id: UUID
    api_key_id: UUID


def make_customers(session: Session, number: int, month: Month) -> list[Customer]:
    """Tenants that were there when `month` began. `session` is an operator session; the caller commits."""
    customers = [Customer(uuid4(), uuid4()) for _ in range(number)]
    session.execute(
        insert(Tenant),
        [
            {
                "id": one.tenant_id,
                "name": f"Customer {one.tenant_id.hex[:8]}",
                "wrapped_data_key": b"",
                "terms_version": "1",
                "created_at": month.start,
            }
            for one in customers
        ],
    )
    session.execute(
        insert(ApiKey),
        [
            {
                "id": one.api_key_id,
                "tenant_id": one.tenant_id,
                "name": "app",
                "prefix": "ad_live_",
                "digest": one.api_key_id.bytes,
            }
            for one in customers
        ],
    )
    return customers


def fill_month(session: Session, customers: Sequence[Customer], month: Month, facts_each: int) -> None:
    """Give each customer `facts_each` facts in `month`; the caller commits."""
    session.execute(
        _FILL,
        {
            "start": month.start,
            "end": month.end - _MILLISECOND,
            "facts": facts_each,
            "tenants": [one.tenant_id for one in customers],
        },
    )


def endless_facts(customers: Sequence[Customer]) -> Iterator[Fact]:
    """New requests of each customer in turn, for ever."""
    for number in count():
        customer = customers[number % len(customers)]
        usage = Usage(uuid4().hex, UsageKind.PREDICTION, 120, UsageSource.API, api_key_id=customer.api_key_id)
        yield Fact(customer.tenant_id, usage)
