"""What a tenant's month is rated with: the plans that it held, the prices of the catalogue, and its usage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Integer, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.plans import DEFAULT_PLAN_CODE, list_holdings, list_prices
from billing.rating import Line, Price, Span, by_span, rate_spans
from billing.schedule import Holding, spans_between
from core.models.billing import PriceKind
from core.models.usage import UsageFact

USAGE_KINDS = (PriceKind.PREDICTION, PriceKind.TRAINING, PriceKind.CHAT_INPUT, PriceKind.CHAT_OUTPUT)

Used = Mapping[PriceKind, Sequence[tuple[datetime, int]]]
"""Tokens of each kind, with a moment of the stretch between price changes in which they were used."""


@dataclass(frozen=True)
class Schedule:
    """The prices that a tenant has over a month, by kind."""

    month: Month
    spans: Mapping[PriceKind, Sequence[Span]]

    @property
    def cuts(self) -> list[datetime]:
        """Every moment of the month at which some price begins: between two of them, none changes."""
        return sorted({span.start for spans in self.spans.values() for span in spans})

    def rate_usage(self, used: Used) -> list[Line]:
        """What the month's usage costs, without fee and minimum."""
        lines: list[Line] = []
        for kind in USAGE_KINDS:
            spans = self.spans[kind]
            lines += rate_spans(self.month, spans, by_span(spans, used.get(kind, ())))
        return lines


@dataclass(frozen=True)
class Terms:
    """What decides a tenant's prices: the plans that it held, and the catalogue."""

    tenant_id: UUID
    holdings: Sequence[Holding]
    prices: Sequence[Price]

    def schedule(self, month: Month) -> Schedule:
        """Lay the plans and the catalogue's prices over a month."""
        return Schedule(
            month,
            {
                kind: spans_between(
                    month.start, month.end, kind, self.holdings, self.prices, DEFAULT_PLAN_CODE
                )
                for kind in PriceKind
            },
        )


def load_terms(session: Session, tenant_id: UUID, prices: Sequence[Price] | None = None) -> Terms:
    """Read a tenant's terms; `prices` saves reading the catalogue again."""
    return Terms(
        tenant_id, list_holdings(session, tenant_id), list_prices(session) if prices is None else prices
    )


def bucket_of(cuts: Iterable[datetime]) -> ColumnElement[int]:
    """The SQL for which of `cuts` a fact follows, counted from 1."""
    thresholds = cast(list(cuts), ARRAY(DateTime(timezone=True)))
    return func.width_bucket(UsageFact.occurred_at, thresholds, type_=Integer)


def read_used(session: Session, tenant_id: UUID, in_force: Schedule) -> Used:
    """The month's tokens of each kind, summed between the moments at which a price changes."""
    cuts = in_force.cuts
    bucket = bucket_of(cuts)
    rows = session.execute(
        select(UsageFact.kind, bucket, func.sum(UsageFact.quantity))
        .where(
            UsageFact.tenant_id == tenant_id,
            UsageFact.occurred_at >= in_force.month.start,
            UsageFact.occurred_at < in_force.month.end,
        )
        .group_by(UsageFact.kind, bucket)
    )
    used: dict[PriceKind, list[tuple[datetime, int]]] = {kind: [] for kind in USAGE_KINDS}
    for kind, number, tokens in rows:
        used[PriceKind(kind)].append((cuts[number - 1], int(tokens)))
    return used
