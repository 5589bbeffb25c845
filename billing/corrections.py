"""Correcting the ledger: no fact is altered or deleted, a wrong one gets another beside it that takes it back."""

from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import audit
from core.models.usage import UsageFact
from core.tenancy import Actor

REASON_LENGTH = 300

_TAKEN_OVER = ("kind", "source", "model_id", "adapter_id", "api_key_id", "job_id", "occurred_at")


class FactNotFound(LookupError):
    """The tenant has no usage fact of that id."""


class CorrectionError(Exception):
    """The fact cannot be reversed; the message says why, and is fit to show."""


def reverse(session: Session, actor: Actor, tenant_id: UUID, fact_id: UUID, reason: str) -> UsageFact:
    """Take a usage fact back by one of the opposite quantity at the same time, once. The caller commits.

    Of a month that is invoiced already, the tenant's next invoice gives back what it cost. What should have been
    recorded instead is recorded by itself, as another request. Noted in both logs.

    Wants an operator session. Raises FactNotFound; CorrectionError for a fact that is reversed already or is a
    reversal itself, and for a reason that is missing or too long.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= REASON_LENGTH:
        raise CorrectionError(f"Say why the usage is taken back, in 1 to {REASON_LENGTH} characters.")
    fact = session.scalar(select(UsageFact).filter_by(tenant_id=tenant_id, id=fact_id))
    if fact is None:
        raise FactNotFound(f"The tenant has no usage fact {fact_id}.")
    if fact.reverses_id is not None:
        raise CorrectionError("A reversal stays: record what was used as a request of its own.")
    reversal: UsageFact | None = session.scalar(
        insert(UsageFact)
        .values(
            id=uuid4(),
            tenant_id=tenant_id,
            request_id=f"reversal-{fact.id}",
            quantity=-fact.quantity,
            inputs=-fact.inputs,
            reverses_id=fact.id,
            reason=reason,
            **{name: getattr(fact, name) for name in _TAKEN_OVER},
        )
        .on_conflict_do_nothing()
        .returning(UsageFact)
    )
    if reversal is None:
        raise CorrectionError(f"Request {fact.request_id} is reversed already.")
    detail = {"request": fact.request_id, "kind": fact.kind.value, "tokens": fact.quantity, "reason": reason}
    audit.record_for_tenant(session, tenant_id, actor, "usage.reversed", fact, detail)
    audit.record_staff(session, actor, "usage.reversed", UsageFact.__tablename__, fact.id, detail)
    return reversal
