"""The ledger: one usage fact for each request and each training run, recorded exactly once, never altered."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.clock import now
from core.models.usage import UsageFact, UsageKind, UsageSource

MAX_QUANTITY = 2**63 - 1


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


def record(session: Session, tenant_id: UUID, usage: Usage) -> bool:
    """Add a usage fact in the session's transaction; the caller commits, and only then answers its client.

    Returns False where the ledger has it already, so that a repeated request or job costs nothing.
    Raises UsageConflict where it has it with another quantity.
    """
    values = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "request_id": usage.request_id,
        "kind": usage.kind,
        "quantity": usage.quantity,
        "inputs": usage.inputs,
        "source": usage.source,
        "model_id": usage.model_id,
        "adapter_id": usage.adapter_id,
        "api_key_id": usage.api_key_id,
        "job_id": usage.job_id,
        "occurred_at": usage.occurred_at,
    }
    statement = (
        insert(UsageFact)
        .values(values)
        .on_conflict_do_nothing(index_elements=["tenant_id", "request_id", "kind"])
        .returning(UsageFact.id)
    )
    if session.scalar(statement) is not None:
        return True
    recorded = session.scalars(
        select(UsageFact.quantity).where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.request_id == usage.request_id,
            UsageFact.kind == usage.kind,
        )
    ).one()
    if recorded != usage.quantity:
        raise UsageConflict(
            f"{usage.kind.capitalize()} request {usage.request_id} is recorded with {recorded} tokens, "
            f"not {usage.quantity}."
        )
    return False
