"""Counters that follow the ledger: whatever happens, to count anew changes nothing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from billing import counters, reservations
from billing.budgets import delete_budget
from billing.corrections import reverse
from billing.ledger import Fact, Usage, record_all
from billing.plans import subscribe
from billing.reservations import Work
from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.budgets import Budget, BudgetReservation
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.tenancy import TenantScope, system_scope
from tests.billing.capped import (
    billed_cents,
    cap,
    counters_from_ledger,
    fits,
    in_force,
    live_counters,
    make_plan,
    put_on_plan,
    reserved,
    use,
    work,
)
from tests.billing.months import STAFF

A_CENT_EACH = {"unit_amount": Decimal(1), "included_quantity": 20}
TIERED = {
    "unit_amount": Decimal(0),
    "included_quantity": 10,
    "tiers": [
        {"up_to": 30, "unit_amount": "2", "flat_amount": "0"},
        {"up_to": None, "unit_amount": "1.5", "flat_amount": "5"},
    ],
}
CAP_CENTS = 150


@dataclass(frozen=True)
class Story:
    """A capped tenant with a capped key, and what of its requests is under way or done."""

    scope: TenantScope
    key_id: UUID
    under_way: list[Work]
    done: list[tuple[Work, int]]
    reversed: list[str]


@pytest.fixture
def scope(make_tenant) -> TenantScope:
    scope = system_scope(make_tenant().id, "test")
    put_on_plan(scope, prediction=A_CENT_EACH, chat_input=TIERED)
    return scope


def new_story(make_tenant) -> Story:
    scope = system_scope(make_tenant().id, "test")
    put_on_plan(scope, prediction=A_CENT_EACH, chat_input=TIERED)
    with tenant_session(scope) as session:
        key, _ = api_keys.create(session, scope, "app")
        session.commit()
    cap(scope, CAP_CENTS)
    cap(scope, CAP_CENTS, key.id)
    return Story(scope, key.id, [], [], [])


def begin(story: Story, number: int) -> None:
    kind = (UsageKind.PREDICTION, UsageKind.CHAT_INPUT)[number % 2]
    asked = work(number % 17, kind, story.key_id if number % 3 else None)
    if fits(story.scope, asked):
        story.under_way.append(asked)


def finish(story: Story, number: int) -> None:
    if story.under_way:
        asked = story.under_way.pop(number % len(story.under_way))
        ((kind, most),) = asked.most.items()
        use(story.scope, asked, number % (most + 1), kind)
        story.done.append((asked, number % (most + 1)))


def fail(story: Story, number: int) -> None:
    if story.under_way:
        asked = story.under_way.pop(number % len(story.under_way))
        reservations.release(story.scope, asked.request_id)


def die(story: Story, number: int) -> None:
    """The process is gone: nobody gives back, and in time nothing counts any more."""
    if story.under_way:
        asked = story.under_way.pop(number % len(story.under_way))
        with tenant_session(story.scope) as session:
            session.execute(
                update(BudgetReservation)
                .where(BudgetReservation.request_id == asked.request_id)
                .values(expires_at=now() - timedelta(seconds=1))
            )
            session.commit()


def repeat(story: Story, number: int) -> None:
    if story.done:
        asked, used = story.done[number % len(story.done)]
        ((kind, _),) = asked.most.items()
        use(story.scope, asked, used, kind)


def take_back(story: Story, number: int) -> None:
    left = [asked for asked, _ in story.done if asked.request_id not in story.reversed]
    if left:
        request_id = left[number % len(left)].request_id
        with operator_session("test") as session:
            fact = session.query(UsageFact).filter_by(request_id=request_id).one()
            reverse(session, STAFF, story.scope.tenant_id, fact.id, "Counted twice.")
            session.commit()
        story.reversed.append(request_id)


def count_anew(story: Story, _number: int) -> None:
    with tenant_session(story.scope) as session:
        counters.count_anew(session, story.scope.tenant_id, in_force(session, story.scope))
        session.commit()


HAPPENINGS = (begin, begin, begin, finish, finish, fail, die, repeat, take_back, count_anew)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    happenings=st.lists(
        st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 10**6)), min_size=5, max_size=40
    )
)
def test_in_any_story_counters_equal_the_ledger_and_no_cap_is_passed(make_tenant, happenings):
    story = new_story(make_tenant)
    for happen, number in happenings:
        happen(story, number)
        assert billed_cents(story.scope) <= CAP_CENTS
    begin(story, 17)  # counters are there from the first request on
    live = live_counters(story.scope)
    assert live == counters_from_ledger(story.scope)
    for asked in story.under_way:
        reservations.release(story.scope, asked.request_id)
    with operator_session("test") as session:
        reservations.delete_expired(session)
        session.commit()
    assert reserved(story.scope) == 0


def test_usage_recorded_while_it_is_counted_anew_is_counted_once(scope):
    cap(scope, 10**6)

    def record(_number: int) -> None:
        use(scope, work(0), 3)

    def count(_number: int) -> None:
        with tenant_session(scope) as session:
            counters.count_anew(session, scope.tenant_id, in_force(session, scope))
            session.commit()

    with ThreadPoolExecutor(8) as threads:
        counted = [threads.submit(count if number % 5 == 0 else record, number) for number in range(200)]
        for one in counted:
            one.result()
    live = live_counters(scope)
    assert sum(live.values()) == 160 * 3
    assert live == counters_from_ledger(scope)


def test_facts_of_many_tenants_in_one_statement_move_the_counters_of_each(make_tenant):
    scopes = [system_scope(make_tenant().id, "test") for _ in range(3)]
    for scope in scopes[:2]:
        cap(scope, 10**6)
        assert fits(scope, work(1))
    facts = [
        Fact(scope.tenant_id, Usage(f"r{number}", UsageKind.PREDICTION, number, UsageSource.API))
        for scope in scopes
        for number in range(10)
    ]
    with operator_session("test") as session:
        record_all(session.connection(), facts)
        session.commit()
    assert [sum(live_counters(scope).values()) for scope in scopes] == [45, 45, 0]


def test_the_fact_of_a_request_takes_its_reservation_away_kind_by_kind(scope):
    cap(scope, 10**6)
    asked = Work("chat", {UsageKind.CHAT_INPUT: 5, UsageKind.CHAT_OUTPUT: 7}, occurs_at=now())
    assert fits(scope, asked)
    use(scope, asked, 5, UsageKind.CHAT_INPUT)
    assert reserved(scope) == 1
    use(scope, asked, 2, UsageKind.CHAT_OUTPUT)
    assert reserved(scope) == 0


def test_a_change_of_plan_has_the_month_counted_by_stretches(scope):
    cap(scope, 10**6)
    use(scope, work(0), 30)
    assert fits(scope, work(1))
    with operator_session("test") as session:
        subscribe(session, scope.tenant_id, make_plan(session, prediction={"unit_amount": Decimal(5)}))
        session.commit()
    use(scope, work(0), 2)
    assert fits(scope, work(1))
    # 30 at a cent each, 20 of them included; then 2 at 5 cents.
    assert billed_cents(scope) == 10 + 10
    live = live_counters(scope)
    assert sum(live.values()) == 32
    assert live == counters_from_ledger(scope)


def test_usage_of_a_key_that_is_given_a_budget_later_counts(scope):
    with tenant_session(scope) as session:
        key, _ = api_keys.create(session, scope, "app")
        session.commit()
    cap(scope, 10**6)
    use(scope, work(0, api_key_id=key.id), 9)
    cap(scope, 10, key.id)
    assert not fits(scope, work(2, api_key_id=key.id))
    assert fits(scope, work(1, api_key_id=key.id))


def test_deleting_the_last_budget_leaves_no_counters(scope):
    budget = cap(scope, 10)
    assert fits(scope, work(1))
    with tenant_session(scope) as session:
        delete_budget(session, scope, session.get_one(Budget, budget.id))
        session.commit()
    assert live_counters(scope) == {}


def test_counters_of_months_long_past_are_deleted(scope):
    cap(scope, 10)
    assert fits(scope, work(1))
    with operator_session("test") as session:
        counters.delete_old(session, now())
        session.commit()
    assert live_counters(scope)
    with operator_session("test") as session:
        counters.delete_old(session, now() + timedelta(days=70))
        session.commit()
    assert live_counters(scope) == {}
