"""The ledger: one usage fact for each request and each training run, recorded exactly once, never altered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from core.clock import now
from core.models.usage import UsageKind, UsageSource

MAX_QUANTITY = 2**63 - 1

# One statement for however many facts, of however many tenants. Written out, because to build it anew takes longer
# than to run it.
_INSERT = """
INSERT INTO usage_facts (id, tenant_id, request_id, kind, quantity, inputs, source, model_id, adapter_id, api_key_id,
    job_id, occurred_at)
SELECT gen_random_uuid(), fact.* FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
    %s::text[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[]) AS fact
ON CONFLICT (tenant_id, request_id, kind) DO NOTHING
RETURNING tenant_id, request_id, kind
"""
_FIND = """
SELECT tenant_id, request_id, kind, quantity FROM usage_facts
JOIN unnest(%s::uuid[], %s::text[], %s::text[]) AS wanted (tenant_id, request_id, kind)
    USING (tenant_id, request_id, kind)
"""


class UsageConflict(Exception):
    """The request is in the ledger already, with another quantity: one of the two is wrong."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request or one training run used.

    `request_id` is the caller's and makes the fact unique in its tenant and kind: the API's request id, or
    the job's id. `quantity` counts tokens, `inputs` texts. Raises ValueError for what the ledger cannot hold.
    """

    request_id: str
    kind: UsageKind
    quantity: int
    source: UsageSource
    inputs: int = 1
    model_id: UUID | None = None
    adapter_id: UUID | None = None
    api_key_id: UUID | None = None
    job_id: UUID | None = None
    occurred_at: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        if not 0 <= self.quantity <= MAX_QUANTITY:
            raise ValueError(f"A usage quantity is a whole number from 0 to 2^63-1, not {self.quantity}.")
        if not 1 <= len(self.request_id) <= 64:
            raise ValueError("A usage fact needs a request id of 1 to 64 characters.")
        if self.occurred_at.tzinfo is None:
            raise ValueError("A usage fact needs an aware time.")


@dataclass(frozen=True, slots=True)
class Fact:
    """What one tenant used."""

    tenant_id: UUID
    usage: Usage

    @property
    def identity(self) -> tuple[UUID, str, str]:
        """What is in the ledger once."""
        return self.tenant_id, self.usage.request_id, self.usage.kind.value


def record(session: Session, tenant_id: UUID, usage: Usage) -> bool:
    """Add a usage fact in the session's transaction; the caller commits, and only then answers its client.

    Returns False where the ledger has it already, so that a repeated request or job costs nothing.
    Raises UsageConflict where it has it with another quantity.
    """
    fact = Fact(tenant_id, usage)
    (already,) = record_all(session.connection(), [fact])
    check(fact, already)
    return already is None


def record_all(connection: Connection, facts: Sequence[Fact]) -> list[int | None]:
    """Add facts in the connection's transaction, in one statement.

    Returns for each the quantity that the ledger has already, which stays, or None where the fact is new. Facts of
    several tenants want a connection of the operator's role.
    """
    columns = zip(*(_row(fact) for fact in facts), strict=True)
    new = {
        (tenant_id, request_id, kind)
        for tenant_id, request_id, kind in connection.exec_driver_sql(_INSERT, tuple(map(list, columns)))
    }
    recorded = _find(connection, [fact for fact in facts if fact.identity not in new])
    already = []
    for fact in facts:
        already.append(recorded.get(fact.identity))
        recorded.setdefault(fact.identity, fact.usage.quantity)  # what comes twice is new once
    return already


def check(fact: Fact, already: int | None) -> None:
    """Raise UsageConflict where the ledger has the fact with another quantity."""
    usage = fact.usage
    if already not in (None, usage.quantity):
        raise UsageConflict(
            f"{usage.kind.capitalize()} request {usage.request_id} is recorded with {already} tokens, "
            f"not {usage.quantity}."
        )


def _row(fact: Fact) -> tuple[object, ...]:
    usage = fact.usage
    return (
        *fact.identity,
        usage.quantity,
        usage.inputs,
        usage.source.value,
        usage.model_id,
        usage.adapter_id,
        usage.api_key_id,
        usage.job_id,
        usage.occurred_at,
    )


def _find(connection: Connection, facts: Sequence[Fact]) -> dict[tuple[UUID, str, str], int]:
    """The quantities that the ledger has of facts, by their identity."""
    if not facts:
        return {}
    columns = zip(*(fact.identity for fact in facts), strict=True)
    rows = connection.exec_driver_sql(_FIND, tuple(map(list, columns)))
    return {(tenant_id, request_id, kind): quantity for tenant_id, request_id, kind, quantity in rows}
