"""Which facts of the ledger an invoice's line charges, and how much of each: the SQL for it.

A stretch of time under one price gives a line for each tier, and later invoices may add to them. Facts fill the
tiers one after another: first what was known to the invoices before, then what this one knew, each in the order of
time. A line charges what its tier holds then, less what it held before: mostly facts that came late or were taken
back, but also those that these move to another tier, or that cost another volume price with them.

What an invoice knew is what had been recorded at the moment, close to its making, at which the ledger summed to what
had been charged with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, groupby
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select, true
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.rating import Price, Span
from billing.terms import load_terms
from core.models.billing import Invoice, InvoiceLine, PriceScheme
from core.models.usage import UsageFact, UsageKind

_ENDLESS = 1 << 62

_Criteria = Sequence[ColumnElement[bool]]


@dataclass(frozen=True)
class _Charge:
    """What one invoice charges of the stretch."""

    made_at: datetime
    lines: Sequence[InvoiceLine]


@dataclass(frozen=True)
class _Filling:
    """How many tokens each tier holds, the lowest first, of the facts recorded by `known_at`."""

    known_at: datetime
    held: Sequence[int]

    @property
    def ends(self) -> list[int]:
        """Where the tiers end; the top one of those that hold any takes all that follows."""
        top = max((tier for tier, tokens in enumerate(self.held) if tokens), default=0)
        return [end if tier < top else _ENDLESS for tier, end in enumerate(accumulate(self.held))]

    def ends_after(self, earlier: "_Filling") -> list[int]:
        """The same, but that tiers which were left since then end where they did."""
        least = sum(self.held)
        return [
            max(before, least) if end == _ENDLESS else end
            for end, before in zip(self.ends, earlier.ends, strict=True)
        ]


def charged_facts(session: Session, line: InvoiceLine) -> Subquery:
    """The ids of the facts that a usage line charges, with the `tokens` of each that it does.

    These add up to the line's quantity, but for facts that were being recorded just when the invoice was made.
    """
    span = _span_of(session, line)
    stretch = (
        UsageFact.tenant_id == line.tenant_id,
        UsageFact.kind == UsageKind(line.kind),
        UsageFact.occurred_at >= span.start,
        UsageFact.occurred_at < span.end,
    )
    *before, own = _charges_until(session, line)
    if not before:
        # Tiers at one amount a unit are lines of their own here; on a later invoice they are one.
        filling = _filling(session, stretch, [one.quantity for one in own.lines], own.made_at)
        return _tokens(stretch, filling, None, own.lines.index(line), span.price)
    amounts = list(dict.fromkeys(step.unit_amount for step in span.price.steps))
    earlier = _filling(session, stretch, _held(amounts, before), before[-1].made_at)
    filling = _filling(session, stretch, _held(amounts, [*before, own]), own.made_at)
    return _tokens(stretch, filling, earlier, amounts.index(line.unit_amount), span.price)


def _tokens(
    stretch: _Criteria, filling: _Filling, earlier: _Filling | None, tier: int, price: Price
) -> Subquery:
    """What a tier holds in a filling, less what it held in the one before."""
    is_known = UsageFact.recorded_at <= filling.known_at
    is_new = UsageFact.recorded_at > earlier.known_at if earlier else true()
    if not price.tiers:
        # Nothing moves: what is new is all there is, and the database need not go through the rest.
        query = select(UsageFact.id, UsageFact.quantity.label("tokens"))
        return query.where(*stretch, is_known, is_new, UsageFact.quantity != 0).subquery()
    known = _in_order(is_new).where(*stretch, is_known).subquery()
    if earlier is None:
        tokens = _inside(known, filling.ends, tier)
    else:
        ends = filling.ends if price.scheme is PriceScheme.VOLUME else filling.ends_after(earlier)
        held_before = case((known.c.is_new, 0), else_=_inside(known, earlier.ends, tier))
        tokens = _inside(known, ends, tier) - held_before
    return select(known.c.id, tokens.label("tokens")).where(tokens != 0).subquery()


def _span_of(session: Session, line: InvoiceLine) -> Span:
    """The whole stretch in which the line's price was in force: its own dates end where its invoice was made."""
    month = Month(line.usage_month.year, line.usage_month.month)
    spans = load_terms(session, line.tenant_id).schedule(month).spans[line.kind]
    (span,) = [span for span in spans if (span.price.id, span.start) == (line.price_id, line.starts_at)]
    return span


def _charges_until(session: Session, line: InvoiceLine) -> list[_Charge]:
    """What invoices charge of a line's stretch, in their order; the line's own is the last."""
    rows = session.execute(
        select(Invoice, InvoiceLine)
        .join(
            InvoiceLine,
            (InvoiceLine.tenant_id == Invoice.tenant_id) & (InvoiceLine.invoice_id == Invoice.id),
        )
        .where(
            Invoice.tenant_id == line.tenant_id,
            InvoiceLine.usage_month == line.usage_month,
            InvoiceLine.price_id == line.price_id,
            InvoiceLine.starts_at == line.starts_at,
        )
        .order_by(Invoice.period_start, InvoiceLine.position)
    ).all()
    charges = []
    for invoice, of_invoice in groupby(rows, key=lambda row: row[0]):
        charges.append(_Charge(invoice.created_at, [row[1] for row in of_invoice]))
        if invoice.id == line.invoice_id:
            break
    return charges


def _held(amounts: Sequence[Decimal], charges: Sequence[_Charge]) -> list[int]:
    """What invoices charge in all at each amount a unit."""
    held = dict.fromkeys(amounts, 0)
    for charge in charges:
        for line in charge.lines:
            held[line.unit_amount] += line.quantity
    return list(held.values())


def _filling(session: Session, stretch: _Criteria, held: Sequence[int], made_at: datetime) -> _Filling:
    return _Filling(_known_at(session, stretch, sum(held), made_at), held)


def _known_at(session: Session, stretch: _Criteria, charged: int, made_at: datetime) -> datetime:
    """When the ledger summed to what was charged: mostly just when the invoice was made, or the moment closest to that.

    Where there is none, since facts were being recorded just then, that moment itself.
    """
    by_then = select(func.coalesce(func.sum(UsageFact.quantity), 0)).where(
        *stretch, UsageFact.recorded_at <= made_at
    )
    if session.scalars(by_then).one() == charged:
        return made_at
    sums = (
        select(
            UsageFact.recorded_at,
            func.sum(func.sum(UsageFact.quantity)).over(order_by=UsageFact.recorded_at).label("tokens"),
        )
        .where(*stretch)
        .group_by(UsageFact.recorded_at)
        .subquery()
    )
    distance: ColumnElement[Any] = func.abs(func.extract("epoch", sums.c.recorded_at - made_at))
    known_at: datetime | None = session.scalar(
        select(sums.c.recorded_at).where(sums.c.tokens == charged).order_by(distance).limit(1)
    )
    return known_at or made_at


def _in_order(is_new: ColumnElement[bool]) -> Select[UUID, int, bool, int]:
    """Facts in the order in which they fill tiers, what is not new first; `until` sums their tokens up to each.

    A reversal follows what it reverses where it can, so that both are in one tier.
    """
    order = (
        is_new,
        UsageFact.occurred_at,
        func.coalesce(UsageFact.reverses_id, UsageFact.id),
        UsageFact.reverses_id.is_not(None),
    )
    until = func.sum(UsageFact.quantity).over(order_by=order, rows=(None, 0))
    return select(UsageFact.id, UsageFact.quantity, is_new.label("is_new"), until.label("until"))


def _inside(known: Subquery, ends: Sequence[int], tier: int) -> ColumnElement[int]:
    """How many of a fact's tokens are in a tier."""
    begin = ends[tier - 1] if tier else 0

    def clamped(tokens: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.least(func.greatest(tokens, begin), ends[tier])

    return clamped(known.c.until) - clamped(known.c.until - known.c.quantity)
