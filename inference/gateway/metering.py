"""How a request gets into the ledger: its facts are durable before its answer goes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from billing import ledger
from billing.ledger import Fact, Usage
from billing.recording import process_recorder
from core.clock import now
from core.db import tenant_session
from core.models.usage import UsageKind, UsageSource
from core.tenancy import TenantScope
from inference.gateway.request_id import new_request_id
from inference.gateway.targets import Target


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: for which tenant, by what, and under which request id, which must be unique."""

    scope: TenantScope
    source: UsageSource
    api_key_id: UUID | None = None
    request_id: str = field(default_factory=new_request_id)
    asked_at: datetime = field(default_factory=now)

    def usage(self, target: Target, kind: UsageKind, quantity: int, inputs: int) -> Usage:
        """A usage fact of this request."""
        return Usage(
            request_id=self.request_id,
            kind=kind,
            quantity=quantity,
            source=self.source,
            inputs=inputs,
            model_id=target.model_id,
            adapter_id=target.adapter_id,
            api_key_id=self.api_key_id,
            occurred_at=self.asked_at,
        )

    def record(self, *usages: Usage, also: Callable[[Session], None] | None = None) -> None:
        """Commit the facts, and what `also` does in the session, together."""
        if also is None:
            process_recorder().record([Fact(self.scope.tenant_id, usage) for usage in usages])
            return
        with tenant_session(self.scope) as session:
            for usage in usages:
                ledger.record(session, self.scope.tenant_id, usage)
            also(session)
            session.commit()
