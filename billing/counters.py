"""Usage counters: the ledger's sums of the months in which there is a budget, so that to ask for them costs little.

A trigger of the ledger moves them (migration 0008, `count_usage`) in the transaction that records a fact, while it
holds the tenant's counting lock together with others. Whoever counts anew holds it alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, text
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.terms import USAGE_KINDS, Schedule, bucket_of
from core.models.billing import PriceKind
from core.models.budgets import Budget, UsageCounter
from core.models.usage import UsageFact, UsageKind

Quantities = Mapping[PriceKind, Sequence[tuple[datetime, int]]]
"""Tokens of each kind, with a moment of the stretch between price changes that they belong to."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text), 8))")

_BUDGET, _USED, _RESERVED = "budget", "used", "reserved"

# One statement, so that usage on its way from a reservation into a counter is seen in exactly one of them.
_READ = text("""
SELECT 'budget' AS what, api_key_id, NULL AS kind, NULL AS starts_at, NULL AS quantity FROM budgets
WHERE tenant_id = :tenant_id
UNION ALL
SELECT 'used', api_key_id, kind, starts_at, quantity FROM usage_counters
WHERE tenant_id = :tenant_id AND starts_at >= :month_start AND starts_at < :month_end
UNION ALL
SELECT 'reserved', api_key_id, part.kind, (CAST(:cuts AS timestamptz[]))
    [width_bucket(coalesce(occurs_at, :jobs_at), CAST(:cuts AS timestamptz[]))], sum(CAST(part.quantity AS bigint))
FROM budget_reservations, jsonb_each_text(quantities) AS part (kind, quantity)
WHERE tenant_id = :tenant_id AND request_id <> :own AND (expires_at IS NULL OR expires_at > :at)
    AND (occurs_at IS NULL OR occurs_at >= :month_start AND occurs_at < :month_end)
GROUP BY 2, 3, 4
""")


@dataclass(frozen=True)
class Counts:
    """What a tenant or one of its keys has used in a month, and what its requests and jobs under way may use yet."""

    used: Quantities
    reserved: Quantities

    def with_more(self, most: Mapping[UsageKind, int], at: datetime) -> "Counts":
        """The same with more reserved, for a moment of the month."""
        more = {PriceKind(kind): [(at, quantity)] for kind, quantity in most.items()}
        return Counts(self.used, {kind: [*self.reserved[kind], *more.get(kind, [])] for kind in USAGE_KINDS})


def read(
    session: Session, tenant_id: UUID, in_force: Schedule, at: datetime, own_request: str = ""
) -> dict[UUID | None, Counts]:
    """The month's counts of the tenant (None) and of each key that has a budget; counted anew where prices have changed.

    What `own_request` has reserved already is left out. Jobs under way count in the month of `at`.
    """
    found = _read(session, tenant_id, in_force, at, own_request)
    if found is None:
        count_anew(session, tenant_id, in_force)
        found = _read(session, tenant_id, in_force, at, own_request)
    if found is None:
        raise RuntimeError("Usage was counted anew, and the counters do not fit the month's prices.")
    return found


def _read(
    session: Session, tenant_id: UUID, in_force: Schedule, at: datetime, own_request: str
) -> dict[UUID | None, Counts] | None:
    """None where the counters are not those of the month's prices and of the keys with a budget."""
    month = in_force.month
    rows = session.execute(
        _READ,
        {
            "tenant_id": tenant_id,
            "month_start": month.start,
            "month_end": month.end,
            "cuts": in_force.cuts,
            "at": at,
            "jobs_at": min(max(at, month.start), month.end - timedelta(microseconds=1)),
            "own": own_request,
        },
    ).all()
    owners = {None, *(row.api_key_id for row in rows if row.what == _BUDGET)}
    counted = {(row.api_key_id, row.starts_at) for row in rows if row.what == _USED}
    if counted != {(owner, cut) for owner in owners for cut in in_force.cuts}:
        return None
    return {
        owner: Counts(
            _by_kind(row for row in rows if row.what == _USED and row.api_key_id == owner),
            _by_kind(row for row in rows if row.what == _RESERVED and owner in (None, row.api_key_id)),
        )
        for owner in owners
    }


def _by_kind(rows: Iterable[Row[Any]]) -> Quantities:
    quantities: dict[PriceKind, list[tuple[datetime, int]]] = {kind: [] for kind in USAGE_KINDS}
    for row in rows:
        quantities[PriceKind(row.kind)].append((row.starts_at, int(row.quantity)))
    return quantities


def count_anew(session: Session, tenant_id: UUID, in_force: Schedule) -> None:
    """Count the month from the ledger, while nobody adds to the tenant's part of it. The caller commits."""
    session.execute(_LOCK, {"tenant_id": tenant_id})
    month, cuts = in_force.month, in_force.cuts
    session.execute(
        delete(UsageCounter).where(
            UsageCounter.tenant_id == tenant_id,
            UsageCounter.starts_at >= month.start,
            UsageCounter.starts_at < month.end,
        )
    )
    sums = _sums(session, tenant_id, in_force)
    session.add_all(
        UsageCounter(
            tenant_id=tenant_id,
            api_key_id=owner,
            kind=kind.value,
            starts_at=starts_at,
            ends_at=ends_at,
            quantity=sum(
                quantity
                for (key, *of), quantity in sums.items()
                if of == [kind, starts_at] and owner in (None, key)
            ),
        )
        for owner in _owners(session, tenant_id)
        for kind in USAGE_KINDS
        for starts_at, ends_at in pairwise([*cuts, month.end])
    )
    session.flush()


def _sums(
    session: Session, tenant_id: UUID, in_force: Schedule
) -> dict[tuple[UUID | None, PriceKind, datetime], int]:
    bucket = bucket_of(in_force.cuts)
    rows = session.execute(
        select(UsageFact.api_key_id, UsageFact.kind, bucket, func.sum(UsageFact.quantity))
        .where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.occurred_at >= in_force.month.start,
            UsageFact.occurred_at < in_force.month.end,
        )
        .group_by(UsageFact.api_key_id, UsageFact.kind, bucket)
    )
    return {
        (key, PriceKind(kind), in_force.cuts[number - 1]): int(quantity)
        for key, kind, number, quantity in rows
    }


def _owners(session: Session, tenant_id: UUID) -> Collection[UUID | None]:
    """The tenant itself, and its keys that have a budget."""
    keys = session.scalars(
        select(Budget.api_key_id).where(Budget.tenant_id == tenant_id, Budget.api_key_id.is_not(None))
    )
    return {None, *keys}


def forget(session: Session, tenant_id: UUID) -> None:
    """Delete a tenant's counters, which no budget asks about any more. The caller commits."""
    session.execute(_LOCK, {"tenant_id": tenant_id})
    session.execute(delete(UsageCounter).where(UsageCounter.tenant_id == tenant_id))


def delete_old(session: Session, at: datetime) -> None:
    """Delete the counters of months that no budget asks about any more. Wants an operator session."""
    session.execute(delete(UsageCounter).where(UsageCounter.ends_at <= Month.containing(at).previous.start))
