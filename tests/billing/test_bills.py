"""Bills: every token and every day of a fee is charged once, at the price of its time, in whatever order they come."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from billing.bills import rate_month, tenant_bill
from billing.close import close_due, close_month, next_to_close
from billing.corrections import reverse
from billing.periods import Month
from billing.plans import PlanError, list_holdings, list_prices, subscribe
from billing.rating import charge, total_cents
from billing.schedule import plan_at, price_at
from billing.terms import USAGE_KINDS, load_terms, read_used
from core.db import operator_session
from core.models.billing import Invoice, InvoiceLine, PlanPrice, PriceKind
from core.models.tenants import Tenant
from core.models.usage import UsageFact, UsageKind
from tests.billing.months import APRIL, FEBRUARY, JANUARY, STAFF, after, old_tenant, on, use
from tests.billing.tiers import tiered_plan

FEES = {"trial": 0, "starter": 29_00, "scale": 299_00, "tiered": 0}


def add_version(db, plan: str, kind: PriceKind, amount: str, included: int, since: datetime) -> None:
    """A price that began in the past, as `add_price` refuses to make."""
    db.add(
        PlanPrice(
            plan_code=plan,
            kind=kind,
            unit_amount=Decimal(amount),
            included_quantity=included,
            effective_from=since,
        )
    )
    db.flush()


def words(bill):
    return [(line.kind, line.month, line.rated.quantity, line.amount_cents, line.late) for line in bill.lines]


def test_a_tenant_without_fee_and_usage_owes_nothing(db):
    assert tenant_bill(db, old_tenant(db).id, JANUARY).lines == []


def test_usage_is_charged_at_the_price_of_its_time(db):
    tenant = old_tenant(db, "trial")
    add_version(db, "trial", PriceKind.PREDICTION, "0.01", 0, on(10))
    use(db, tenant, on(10) - timedelta(microseconds=1), 200_000)
    use(db, tenant, on(10), 500)
    assert words(tenant_bill(db, tenant.id, JANUARY)) == [
        ("prediction", JANUARY, 200_000, 4, False),  # 100,000 beyond the quota at 0.40 a million
        ("prediction", JANUARY, 500, 5, False),
    ]


def test_the_last_moment_of_a_month_is_its_own_and_the_next_is_not(db):
    tenant = old_tenant(db, "trial")
    use(db, tenant, FEBRUARY.start - timedelta(microseconds=1), 1)
    use(db, tenant, FEBRUARY.start, 10)
    assert [line.rated.quantity for line in tenant_bill(db, tenant.id, JANUARY).lines] == [1]
    assert [line.rated.quantity for line in tenant_bill(db, tenant.id, FEBRUARY).lines] == [10]


def test_another_tenants_usage_is_not_on_the_bill(db):
    tenant, other = old_tenant(db), old_tenant(db)
    use(db, other, on(3), 10)
    assert tenant_bill(db, tenant.id, JANUARY).lines == []


def test_late_usage_takes_what_is_left_of_its_own_months_quota(db):
    tenant = old_tenant(db, "trial")
    use(db, tenant, on(3), 60_000)
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    use(db, tenant, on(4), 90_000)
    use(db, tenant, on(4, FEBRUARY), 100_000)
    assert words(tenant_bill(db, tenant.id, FEBRUARY)) == [
        ("prediction", FEBRUARY, 100_000, 0, False),
        ("prediction", JANUARY, 90_000, 2, True),  # 50,000 beyond the quota
    ]


def test_late_usage_of_a_month_that_made_no_invoice_is_charged(db):
    tenant = old_tenant(db, "trial")
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    use(db, tenant, on(4), 100_000 + 1_000_000)
    assert words(tenant_bill(db, tenant.id, FEBRUARY)) == [("prediction", JANUARY, 1_100_000, 40, True)]


def test_the_usage_of_a_month_that_is_not_closed_is_no_later_months(db):
    tenant = old_tenant(db, "trial")
    use(db, tenant, on(4), 10)
    assert tenant_bill(db, tenant.id, FEBRUARY).lines == []


def test_after_an_early_invoice_the_rest_of_usage_and_fee_is_on_the_next_months(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    (early,) = close_month(db, JANUARY, STAFF, early=True, at=on(11))
    assert early.total_cents == 10 * 2900 // 31 + 30
    use(db, tenant, on(20), 2_000_000)
    subscribe(db, tenant.id, "scale", on(22, hour=0))
    assert words(tenant_bill(db, tenant.id, FEBRUARY)) == [
        ("platform", FEBRUARY, 1, 299_00, False),
        ("platform", JANUARY, 1, 1029, True),  # from the 11th to the 21st: 11 days of Starter
        ("platform", JANUARY, 1, 9645, True),  # 10 days of Scale
        ("prediction", JANUARY, 2_000_000, 60, True),
    ]


def test_the_rest_of_a_fee_is_charged_once(db):
    old_tenant(db, "starter")
    close_month(db, JANUARY, STAFF, early=True, at=on(11))
    for month in (JANUARY, FEBRUARY, FEBRUARY.next):
        close_month(db, month, STAFF, at=after(month))
    fees = db.execute(
        select(InvoiceLine.usage_month, func.sum(InvoiceLine.amount_cents)).group_by(InvoiceLine.usage_month)
    )
    assert dict(fees.all()) == dict.fromkeys([m.days[0] for m in (JANUARY, FEBRUARY, FEBRUARY.next)], 2900)


def test_late_usage_goes_on_where_the_months_tiers_were(db):
    tenant = old_tenant(db, tiered_plan(db))
    use(db, tenant, on(3), 5_000_000)
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    use(db, tenant, on(2), 3_000_000)  # one million in the first tier still, two in the second
    lines = [line for line in tenant_bill(db, tenant.id, FEBRUARY).lines if line.kind == "prediction"]
    assert [(line.rated.quantity, line.amount_cents, line.flat_amount) for line in lines] == [
        (1_000_000, 40, Decimal(0)),
        (2_000_000, 60 + 150, Decimal(150)),
    ]


def test_late_usage_can_move_a_whole_month_to_a_cheaper_tier(db):
    tenant = old_tenant(db, tiered_plan(db))
    use(db, tenant, on(3), 20_000_000, UsageKind.TRAINING)
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    use(db, tenant, on(4), 1_000_000, UsageKind.TRAINING)
    lines = [line for line in tenant_bill(db, tenant.id, FEBRUARY).lines if line.kind == "training"]
    assert [(line.rated.quantity, line.amount_cents) for line in lines] == [
        (21_000_000, 441),
        (-20_000_000, -750),
    ]


def test_a_month_below_its_minimum_costs_the_minimum_and_late_usage_uses_it_up(db):
    tenant = old_tenant(db, tiered_plan(db))
    use(db, tenant, on(3), 3_500_000)
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert invoice.total_cents == 1000
    use(db, tenant, on(4), 1_000_000)
    late = [line for line in tenant_bill(db, tenant.id, FEBRUARY).lines if line.late]
    assert [(line.kind, line.amount_cents) for line in late] == [("prediction", 40), ("minimum", -40)]


def test_an_early_invoice_has_no_minimum_and_the_next_one_has_it(db):
    tenant = old_tenant(db, tiered_plan(db))
    use(db, tenant, on(3), 3_500_000)
    (early,) = close_month(db, JANUARY, STAFF, early=True, at=on(11))
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert early.total_cents == 100
    late = [line for line in tenant_bill(db, tenant.id, FEBRUARY).lines if line.late]
    assert [(line.kind, line.amount_cents) for line in late] == [("minimum", 900)]


@dataclass(frozen=True)
class Used:
    """What a request used, and whether the ledger learns of it after its month's invoice."""

    minute: int
    quantity: int
    kind: UsageKind
    is_late: bool


@given(
    st.lists(
        st.builds(
            Used,
            st.integers(0, 31 * 24 * 60 - 1),
            st.integers(0, 10**7),
            st.sampled_from(UsageKind),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_usage_that_is_permuted_split_late_repeated_or_reversed_by_mistake_costs_the_same(
    services, used, chance
):
    with operator_session("test") as db:
        plan = tiered_plan(db)
        tidy, untidy = old_tenant(db, plan), old_tenant(db, plan)
        for one in used:
            use(db, tidy, JANUARY.start + timedelta(minutes=one.minute), one.quantity, one.kind)
        shuffled = chance.sample(used, len(used))
        record_in_parts(db, untidy, [one for one in shuffled if not one.is_late], chance)
        close_month(db, JANUARY, STAFF, at=after(JANUARY))
        record_in_parts(db, untidy, [one for one in shuffled if one.is_late], chance)
        close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
        assert costs_of_january(db, tidy) == costs_of_january(db, untidy)


def record_in_parts(db, tenant: Tenant, used: list[Used], chance: Random) -> None:
    """Split each, record each part twice by the same id, and one more that is taken back."""
    for one in used:
        at, part = JANUARY.start + timedelta(minutes=one.minute), chance.randint(0, one.quantity)
        for quantity in (part, one.quantity - part):
            request_id = str(uuid4())
            for _ in range(2):
                use(db, tenant, at, quantity, one.kind, request_id=request_id)
        mistake = str(uuid4())
        use(db, tenant, at, chance.randint(0, 10**7), one.kind, request_id=mistake)
        fact_id = db.scalars(select(UsageFact.id).filter_by(tenant_id=tenant.id, request_id=mistake)).one()
        reverse(db, STAFF, tenant.id, fact_id, "A mistake")


def costs_of_january(db, tenant: Tenant) -> dict[str, int]:
    rows = db.execute(
        select(InvoiceLine.kind, func.sum(InvoiceLine.amount_cents))
        .where(InvoiceLine.tenant_id == tenant.id, InvoiceLine.usage_month == JANUARY.days[0])
        .group_by(InvoiceLine.kind)
    )
    return {kind.value: int(cents) for kind, cents in rows if cents}


@dataclass(frozen=True)
class Step:
    """Something that happens `wait` after the step before."""

    wait: timedelta
    what: str
    quantity: int = 0
    back: timedelta = timedelta(0)
    which: int = 0
    kind: UsageKind = UsageKind.PREDICTION
    plan: str = "trial"


waits = st.integers(0, 30 * 24).map(lambda hours: timedelta(hours=hours))
steps = st.lists(
    st.one_of(
        st.builds(
            Step,
            waits,
            st.just("use"),
            quantity=st.integers(0, 3 * 10**7),
            back=waits,
            kind=st.sampled_from(UsageKind),
        ),
        st.builds(Step, waits, st.just("reverse"), which=st.integers(0, 11)),
        st.builds(Step, waits, st.just("close")),
        st.builds(Step, waits, st.just("invoice early")),
        st.builds(Step, waits, st.just("change plan"), plan=st.sampled_from(list(FEES))),
    ),
    max_size=12,
)


def play(db, story: list[Step]) -> Tenant:
    """Let the steps happen to a tenant from January on, then close every month up to April."""
    tiered_plan(db)
    tenant = old_tenant(db, "starter")
    at = JANUARY.start + timedelta(hours=1)
    for step in story:
        at = min(at + step.wait, APRIL.start)
        if step.what == "use":
            use(db, tenant, max(at - step.back, JANUARY.start), step.quantity, step.kind)
        elif step.what == "reverse":
            reverse_one(db, tenant, step.which)
        elif step.what == "close":
            close_due(db, at)
        elif step.what == "invoice early":
            close_month(db, Month.containing(at), STAFF, early=True, at=at)
        else:
            try:
                subscribe(db, tenant.id, step.plan, at)
            except PlanError:
                assert at <= max(holding.starts_at for holding in list_holdings(db, tenant.id))
    close_due(db, after(APRIL.next))
    assert next_to_close(db) == APRIL.next.next
    return tenant


def reverse_one(db, tenant: Tenant, which: int) -> None:
    reversals = select(UsageFact.reverses_id).where(UsageFact.reverses_id.is_not(None))
    left = db.scalars(
        select(UsageFact)
        .where(
            UsageFact.tenant_id == tenant.id,
            UsageFact.reverses_id.is_(None),
            UsageFact.id.not_in(reversals),
        )
        .order_by(UsageFact.occurred_at, UsageFact.quantity)
    ).all()
    if left:
        reverse(db, STAFF, tenant.id, left[which % len(left)].id, "A mistake")


@given(steps)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_late_or_is_invoiced_early_all_is_charged_once_at_the_price_of_its_time(
    services, story
):
    with operator_session("test") as db:
        tenant = play(db, story)
        prices, holdings = list_prices(db), list_holdings(db, tenant.id)
        lines = db.scalars(select(InvoiceLine)).all()

        used: dict[tuple[object, ...], int] = defaultdict(int)
        for fact in db.scalars(select(UsageFact)):
            price = price_at(
                fact.occurred_at, plan_at(fact.occurred_at, holdings, "trial"), fact.kind, prices
            )
            used[Month.containing(fact.occurred_at).days[0], fact.kind.value, price.id] += fact.quantity
        charged: dict[tuple[object, ...], int] = defaultdict(int)
        quota: dict[tuple[date, PriceKind], int] = defaultdict(int)
        fees: dict[object, int] = defaultdict(int)
        for line in lines:
            if line.kind is PriceKind.MINIMUM:
                continue
            if line.kind is PriceKind.PLATFORM:
                fees[line.usage_month] += line.amount_cents
            else:
                charged[line.usage_month, line.kind.value, line.price_id] += line.quantity
                quota[line.usage_month, line.kind] += line.included_quantity
        assert {key: tokens for key, tokens in used.items() if tokens} == {
            key: tokens for key, tokens in charged.items() if tokens
        }

        for month in (JANUARY, FEBRUARY, FEBRUARY.next, APRIL):
            in_force = load_terms(db, tenant.id).schedule(month)
            wanted = rate_month(in_force, read_used(db, tenant.id, in_force), month.end)
            for kind in (*USAGE_KINDS, PriceKind.MINIMUM):
                of_kind = [line for line in lines if (line.usage_month, line.kind) == (month.days[0], kind)]
                charged_cents = sum(line.amount_cents for line in of_kind)
                assert charged_cents == total_cents(line for line in wanted if line.kind == kind)
        for line in lines:
            assert line.amount_cents == charge(line.billable_quantity, line.unit_amount) + line.flat_amount

        largest = {kind: max(p.included_quantity for p in prices if p.kind == kind) for kind in PriceKind}
        assert all(given_away <= largest[kind] for (_, kind), given_away in quota.items())

        for month in (JANUARY, FEBRUARY, FEBRUARY.next, APRIL):
            evenings = [
                datetime.combine(day, datetime.max.time(), JANUARY.start.tzinfo) for day in month.days
            ]
            by_day = [
                Decimal(FEES[plan_at(evening, holdings, "trial")]) / month.length for evening in evenings
            ]
            owed = sum(by_day, Decimal(0))
            assert abs(fees[month.days[0]] - owed) <= len(lines)  # each line is rounded once

        totals = dict(db.execute(select(Invoice.id, Invoice.total_cents)).all())
        sums = dict.fromkeys(totals, 0)
        for line in lines:
            sums[line.invoice_id] += line.amount_cents
        assert sums == totals
