"""How a request gets into the ledger: its facts are durable before its answer goes out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy.orm import Session

from billing import ledger, reservations
from billing.ledger import Fact, Usage
from billing.recording import process_recorder
from billing.reservations import BudgetReached, Work
from core.clock import now
from core.db import tenant_session
from core.models.usage import UsageKind, UsageSource
from core.tenancy import TenantScope
from inference.gateway.prediction import BudgetExceeded
from inference.gateway.request_id import new_request_id
from inference.gateway.targets import Target

_KEEP_SECONDS = reservations.LIFETIME.total_seconds() / 4


class Hold:
    """What a request has reserved in its budgets, until its facts are in the ledger. As a context it gives back what is
    left where an exception leaves it."""

    def __init__(self, scope: TenantScope, request_id: str, *, is_reserved: bool) -> None:
        self._scope = scope
        self._request_id = request_id
        self._is_reserved = is_reserved
        self._kept = time.monotonic()

    def keep(self) -> None:
        """Say that the request is still at work: without, its reservation ends after a while."""
        if self._is_reserved and time.monotonic() - self._kept >= _KEEP_SECONDS:
            reservations.extend(self._scope, self._request_id)
            self._kept = time.monotonic()

    def give_back(self) -> None:
        """Give back what is left."""
        if self._is_reserved:
            self._is_reserved = False
            reservations.release(self._scope, self._request_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self.give_back()


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: for which tenant, by what, and under which request id, which must be unique."""

    scope: TenantScope
    source: UsageSource
    api_key_id: UUID | None = None
    request_id: str = field(default_factory=new_request_id)
    asked_at: datetime = field(default_factory=now)

    def reserve(self, target: Target, most: Mapping[UsageKind, int]) -> Hold:
        """Take room for this request in the budgets that it counts against. Raises BudgetExceeded."""
        work = Work(self.request_id, most, self.api_key_id, self.asked_at)
        try:
            is_reserved = target.is_capped and reservations.reserve(self.scope, work)
        except BudgetReached as reached:
            raise BudgetExceeded(str(reached)) from None
        return Hold(self.scope, self.request_id, is_reserved=is_reserved)

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
