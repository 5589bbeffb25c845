"""Answers kept for a day under the client's Idempotency-Key, so that a repeated request is billed once."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.clock import now
from core.crypto import derive_key, seal, unseal
from core.db import tenant_session
from core.models.kept_answers import KeptAnswer
from core.storage import tenant_key
from core.tenancy import TenantScope

KEPT = timedelta(hours=24)
CLAIMED = timedelta(minutes=2)
"""How long a request may take before another with the same key may take its place: longer than any does."""

_PURPOSE = "adaptary kept answers v1"


class KeyReused(Exception):
    """The key came with another request before."""


class StillRunning(Exception):
    """A request with this key is being answered at this moment."""


class ClaimLost(Exception):
    """Another request has taken this one's place; this one must not be billed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer for a key, until it is kept or released."""

    id: UUID
    scope: TenantScope
    request_id: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to a request that came before, and that request's id."""

    request_id: str
    media_type: str
    body: bytes


def claim(scope: TenantScope, key_digest: bytes, body_digest: bytes, request_id: str) -> Claim | Kept:
    """The right to answer, or the answer that there is. Raises KeyReused and StillRunning."""
    at = now()
    with tenant_session(scope) as session:
        row_id = session.scalar(
            insert(KeptAnswer)
            .values(
                id=uuid4(),
                tenant_id=scope.tenant_id,
                key_digest=key_digest,
                body_digest=body_digest,
                request_id=request_id,
                claimed_until=at + CLAIMED,
                expires_at=at + KEPT,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "key_digest"])
            .returning(KeptAnswer.id)
        )
        if row_id is None:
            found = _take_over(session, scope, key_digest, body_digest, request_id)
            session.commit()
            return found
        session.commit()
        return Claim(row_id, scope, request_id)


def _take_over(
    session: Session, scope: TenantScope, key_digest: bytes, body_digest: bytes, request_id: str
) -> Claim | Kept:
    at = now()
    row = session.scalar(select(KeptAnswer).where(KeptAnswer.key_digest == key_digest).with_for_update())
    if row is None:  # released between the two statements
        raise StillRunning
    is_over = row.expires_at <= at
    if row.body_digest != body_digest and not is_over:
        raise KeyReused
    if row.sealed_answer is not None and row.media_type is not None and not is_over:
        body = unseal(_sealing_key(session, scope), row.sealed_answer, _binding(row.id))
        return Kept(row.request_id, row.media_type, body)
    if row.claimed_until > at and not is_over:
        raise StillRunning
    row.body_digest, row.request_id = body_digest, request_id
    row.claimed_until, row.expires_at = at + CLAIMED, at + KEPT
    row.media_type = row.sealed_answer = None
    return Claim(row.id, scope, request_id)


def keep(session: Session, held: Claim, media_type: str, body: bytes) -> None:
    """Keep the answer, in the transaction that bills it. Raises ClaimLost where another request took over."""
    sealed = seal(_sealing_key(session, held.scope), body, _binding(held.id))
    kept = session.execute(
        update(KeptAnswer)
        .where(_is_unanswered(held))
        .values(media_type=media_type, sealed_answer=sealed)
        .returning(KeptAnswer.id)
    )
    if kept.one_or_none() is None:
        raise ClaimLost(f"Request {held.request_id} lost its Idempotency-Key to a later one.")


def release(held: Claim) -> None:
    """Forget the claim of a request that failed, so that it may be repeated; what was kept stays."""
    with tenant_session(held.scope) as session:
        session.execute(delete(KeptAnswer).where(_is_unanswered(held)))
        session.commit()


def delete_expired(session: Session) -> None:
    """Delete every tenant's answers that are older than a day. Wants an operator session, which the caller commits."""
    session.execute(delete(KeptAnswer).where(KeptAnswer.expires_at <= now()))


def _is_unanswered(held: Claim) -> ColumnElement[bool]:
    return and_(
        KeptAnswer.id == held.id,
        KeptAnswer.request_id == held.request_id,
        KeptAnswer.sealed_answer.is_(None),
    )


def _sealing_key(session: Session, scope: TenantScope) -> bytes:
    return derive_key(tenant_key(session, scope.tenant_id).data_key, _PURPOSE)


def _binding(row_id: UUID) -> bytes:
    return row_id.bytes
