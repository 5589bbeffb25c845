"""Answers that are kept so that a repeated request gets the same one."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, TenantOwned


class KeptAnswer(TenantOwned, Base):
    """A request that came with an Idempotency-Key, and its answer once there is one.

    Key and body are kept as SHA-256 digests, the answer sealed under the tenant's data key. Until there is an
    answer, the request that `request_id` names is at work on it, and others may take over after `claimed_until`.
    """

    __tablename__ = "kept_answers"

    key_digest: Mapped[bytes] = mapped_column(LargeBinary)
    body_digest: Mapped[bytes] = mapped_column(LargeBinary)
    request_id: Mapped[str] = mapped_column(String(64))
    claimed_until: Mapped[datetime]
    media_type: Mapped[str | None] = mapped_column(String(80))
    sealed_answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "key_digest"), Index(None, "expires_at"))
