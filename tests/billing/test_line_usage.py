"""The usage behind each line of an invoice: whatever came late, was moved or taken back, it sums to the line."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.close import close_month
from billing.corrections import reverse
from billing.invoices import lines_of
from billing.line_usage import LineUsage, NoUsageBehind
from billing.periods import Month
from billing.plans import subscribe
from billing.terms import USAGE_KINDS
from core.db import operator_session
from core.models.billing import Invoice, InvoiceLine, PriceKind
from core.models.tenants import Tenant
from core.models.usage import UsageFact, UsageKind
from tests.billing.months import FEBRUARY, JANUARY, MARCH, STAFF, after, old_tenant, on, use
from tests.billing.tiers import tiered_plan

MILLION = 1_000_000


@contextmanager
def committed() -> Iterator[Session]:
    """A transaction of its own, as facts and invoices have: when one is recorded decides where it is charged."""
    with operator_session("test") as session:
        yield session
        session.commit()


def a_tenant(plan: str | None = None) -> UUID:
    with committed() as db:
        code = tiered_plan(db) if plan == "tiered" else plan
        return old_tenant(db, code).id


def used(tenant_id: UUID, *usage: tuple[int, int], kind: UsageKind = UsageKind.PREDICTION) -> None:
    """Tokens on days of January, each recorded at once."""
    with committed() as db:
        for day, tokens in usage:
            use(db, db.get_one(Tenant, tenant_id), on(day), tokens, kind, request_id=f"{kind}-{day}-{tokens}")


def taken_back(tenant_id: UUID, request_id: str) -> None:
    with committed() as db:
        fact = db.scalars(select(UsageFact).filter_by(tenant_id=tenant_id, request_id=request_id)).one()
        reverse(db, STAFF, tenant_id, fact.id, "A test of theirs")


def closed(tenant_id: UUID, month: Month = JANUARY) -> None:
    with committed() as db:
        close_month(db, month, STAFF, at=after(month))


def lines(db: Session, tenant_id: UUID, month: Month = JANUARY) -> Sequence[InvoiceLine]:
    invoice = db.scalars(select(Invoice).filter_by(tenant_id=tenant_id, period_start=month.start)).one()
    return [line for line in lines_of(db, invoice) if line.kind in USAGE_KINDS]


def behind(db: Session, line: InvoiceLine) -> dict[str, int]:
    """The tokens that a line charges of each request, after a check that all ways to read them agree."""
    usage = LineUsage(db, line)
    days = usage.days()
    facts = [found for day in days for found in usage.facts_of(day.day, offset=0, limit=day.facts + 1)]
    rows = list(csv.DictReader("".join(usage.csv()).splitlines()))
    assert sum(day.facts for day in days) == len(facts) == len(rows)
    for tokens in (
        sum(day.tokens for day in days),
        sum(found.tokens for found in facts),
        sum(int(row["tokens_charged"]) for row in rows),
    ):
        assert tokens == line.quantity
    return {row["takes_back"] or row["request_id"]: int(row["tokens_charged"]) for row in rows}


def test_a_request_that_fills_a_tier_is_part_of_two_lines(services):
    tenant_id = a_tenant("tiered")
    used(tenant_id, (2, 4 * MILLION), (3, 4 * MILLION), (4, MILLION))
    closed(tenant_id)
    with operator_session("test") as db:
        first, second = lines(db, tenant_id)
        assert behind(db, first) == {"prediction-2-4000000": 4 * MILLION, "prediction-3-4000000": 2 * MILLION}
        assert behind(db, second) == {"prediction-3-4000000": 2 * MILLION, "prediction-4-1000000": MILLION}


def test_a_late_line_has_what_came_late_and_not_what_was_charged_before(services):
    tenant_id = a_tenant()
    used(tenant_id, (2, 200_000))
    closed(tenant_id)
    used(tenant_id, (1, 300_000))
    closed(tenant_id, FEBRUARY)
    with operator_session("test") as db:
        (own,) = lines(db, tenant_id)
        assert behind(db, own) == {"prediction-2-200000": 200_000}
        (late,) = lines(db, tenant_id, FEBRUARY)
        assert behind(db, late) == {"prediction-1-300000": 300_000}


def test_late_usage_goes_on_in_the_tier_that_its_month_had_reached(services):
    tenant_id = a_tenant("tiered")
    used(tenant_id, (2, 6 * MILLION))  # 1 included and 5: the first tier is full
    closed(tenant_id)
    used(tenant_id, (1, MILLION))
    closed(tenant_id, FEBRUARY)
    with operator_session("test") as db:
        (late,) = lines(db, tenant_id, FEBRUARY)
        assert behind(db, late) == {"prediction-1-1000000": MILLION}


def test_a_reversal_over_a_tiers_edge_is_part_of_two_lines(services):
    tenant_id = a_tenant("tiered")
    used(tenant_id, (2, 4 * MILLION), (3, 4 * MILLION))
    closed(tenant_id)
    taken_back(tenant_id, "prediction-3-4000000")
    closed(tenant_id, FEBRUARY)
    with operator_session("test") as db:
        for line in lines(db, tenant_id, FEBRUARY):
            assert behind(db, line) == {"prediction-3-4000000": -2 * MILLION}


def test_a_volume_price_takes_back_what_was_charged_at_the_tier_before(services):
    tenant_id = a_tenant("tiered")
    used(tenant_id, (2, 4 * MILLION), kind=UsageKind.TRAINING)
    closed(tenant_id)
    used(tenant_id, (3, 4 * MILLION + 1), kind=UsageKind.TRAINING)
    closed(tenant_id, FEBRUARY)
    with operator_session("test") as db:
        by_sign = {line.quantity > 0: behind(db, line) for line in lines(db, tenant_id, FEBRUARY)}
        assert by_sign[False] == {"training-2-4000000": -4 * MILLION}
        assert by_sign[True] == {
            "training-2-4000000": 4 * MILLION,
            "training-3-4000001": 4 * MILLION + 1,
        }


def test_a_reversal_is_behind_the_line_that_gives_back(services):
    tenant_id = a_tenant()
    used(tenant_id, (2, 200_000), (3, 300_000))
    closed(tenant_id)
    taken_back(tenant_id, "prediction-3-300000")
    closed(tenant_id, FEBRUARY)
    with operator_session("test") as db:
        (line,) = lines(db, tenant_id, FEBRUARY)
        assert behind(db, line) == {"prediction-3-300000": -300_000}
        (day,) = LineUsage(db, line).days()
        (found,) = LineUsage(db, line).facts_of(day.day, offset=0, limit=10)
        assert (found.taken_back, found.fact.reason) == ("prediction-3-300000", "A test of theirs")


def test_a_day_is_read_in_pages_the_newest_first(services):
    tenant_id = a_tenant()
    with committed() as db:
        for minute in range(5):
            at = on(2) + timedelta(minutes=minute)
            use(db, db.get_one(Tenant, tenant_id), at, 10, request_id=f"request-{minute}")
    closed(tenant_id)
    with operator_session("test") as db:
        (line,) = lines(db, tenant_id)
        usage = LineUsage(db, line)
        pages = [usage.facts_of(on(2).date(), offset=offset, limit=2) for offset in (0, 2, 4)]
        assert [found.fact.request_id[-1] for page in pages for found in page] == ["4", "3", "2", "1", "0"]


def test_a_fee_has_no_usage_behind_it(services):
    tenant_id = a_tenant("starter")
    closed(tenant_id)
    with operator_session("test") as db:
        fee = db.scalars(select(InvoiceLine).filter_by(tenant_id=tenant_id, kind=PriceKind.PLATFORM)).one()
        with pytest.raises(NoUsageBehind):
            LineUsage(db, fee)


@pytest.mark.parametrize("seed", range(6))
def test_in_any_story_each_line_is_the_sum_of_its_usage(services, seed):
    story = Random(seed)
    tenant_id = a_tenant("tiered")
    if seed % 2:
        with committed() as db:
            subscribe(db, tenant_id, "scale", on(15))
    taken: list[UUID] = []
    for month in (JANUARY, FEBRUARY, MARCH):
        for _ in range(story.randrange(1, 5)):
            with committed() as db:
                kind = story.choice([UsageKind.PREDICTION, UsageKind.TRAINING])
                at = on(story.randint(1, 31))
                use(db, db.get_one(Tenant, tenant_id), at, story.randrange(9 * MILLION), kind)
        with committed() as db:
            facts = db.scalars(select(UsageFact).filter_by(tenant_id=tenant_id, reverses_id=None)).all()
            fact = story.choice(facts)
            if fact.id not in taken:
                reverse(db, STAFF, tenant_id, fact.id, "A test of theirs")
                taken.append(fact.id)
        closed(tenant_id, month)
    with operator_session("test") as db:
        charged = db.scalars(select(InvoiceLine).filter_by(tenant_id=tenant_id)).all()
        for line in charged:
            if line.kind in USAGE_KINDS:
                behind(db, line)
