"""Caps that hold: room is taken before work, and given back or used after it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import select, update

from billing import reservations
from billing.reservations import BudgetReached, Work
from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.billing import PriceScheme
from core.models.budgets import Budget, BudgetReservation
from core.models.notifications import Notification
from core.models.usage import UsageKind
from core.tenancy import TenantScope, system_scope
from tests.billing.capped import billed_cents, cap, fits, put_on_plan, reserved, use, work

A_CENT_EACH = {"unit_amount": Decimal(1), "included_quantity": 0}


@pytest.fixture
def scope(make_tenant) -> TenantScope:
    """A tenant whose prediction tokens cost a cent each."""
    scope = system_scope(make_tenant().id, "test")
    put_on_plan(scope, prediction=A_CENT_EACH)
    return scope


@pytest.fixture
def key_id(scope) -> UUID:
    with tenant_session(scope) as session:
        key, _ = api_keys.create(session, scope, "app")
        session.commit()
    return key.id


def test_a_thousand_requests_at_once_never_pass_a_cap_by_one_token(scope):
    cap(scope, 1_234)

    def ask(number: int) -> int:
        """What the request used: less than it reserved, or nothing where it failed."""
        random = Random(number)
        asked = work(random.randint(1, 9))
        if not fits(scope, asked):
            return 0
        used = random.randint(0, asked.most[UsageKind.PREDICTION])
        if random.random() < 0.2:
            reservations.release(scope, asked.request_id)
            return 0
        use(scope, asked, used)
        return used

    with ThreadPoolExecutor(32) as threads:
        used = sum(threads.map(ask, range(1000)))
    assert billed_cents(scope) == used <= 1_234
    assert reserved(scope) == 0
    # Nothing is left blocked: what the cap has yet fits to the last token, and not one more.
    assert not fits(scope, work(1_234 - used + 1))
    assert fits(scope, work(1_234 - used))


def test_what_is_under_way_counts_in_full_until_it_is_used_or_given_back(scope):
    cap(scope, 10)
    first, second = work(6), work(5)
    assert fits(scope, first)
    assert not fits(scope, second)
    reservations.release(scope, first.request_id)
    assert fits(scope, second)
    use(scope, second, 2)
    assert fits(scope, work(8))
    assert not fits(scope, work(1))


def test_a_reservation_whose_process_died_counts_no_more_once_it_has_expired(scope):
    cap(scope, 10)
    assert fits(scope, work(10))
    with tenant_session(scope) as session:
        session.execute(update(BudgetReservation).values(expires_at=now()))
        session.commit()
    assert fits(scope, work(10))
    with operator_session("test") as session:
        reservations.delete_expired(session)
        session.commit()
    assert reserved(scope) == 1


def test_a_stream_that_goes_on_keeps_its_reservation(scope):
    cap(scope, 10)
    asked = work(10)
    assert fits(scope, asked)
    with tenant_session(scope) as session:
        session.execute(update(BudgetReservation).values(expires_at=now()))
        session.commit()
    reservations.extend(scope, asked.request_id)
    assert not fits(scope, work(1))


def test_a_request_that_reserves_again_replaces_what_it_had(scope):
    cap(scope, 10)
    asked = work(10)
    assert fits(scope, asked)
    assert fits(scope, replace(asked, most={UsageKind.PREDICTION: 4}))
    assert fits(scope, work(6))


def test_a_jobs_reservation_counts_in_every_month_until_it_is_released(scope):
    cap(scope, 10)
    job = Work("job", {UsageKind.PREDICTION: 7})
    assert fits(scope, job)
    with tenant_session(scope) as session:
        assert session.scalars(select(BudgetReservation.expires_at)).one() is None
    next_month = now() + timedelta(days=31)
    assert not fits(scope, Work("later", {UsageKind.PREDICTION: 4}, occurs_at=next_month))
    reservations.release(scope, "job")
    assert fits(scope, Work("later", {UsageKind.PREDICTION: 10}, occurs_at=next_month))


def test_a_request_of_a_tenant_without_a_cap_reserves_nothing(scope):
    assert reservations.reserve(scope, work(10**9)) is False
    cap(scope, 10, is_cap=False)
    assert reservations.reserve(scope, work(10**9)) is False
    assert reserved(scope) == 0


def test_usage_of_before_the_cap_was_set_counts(scope):
    use(scope, work(0), 8)
    cap(scope, 10)
    assert not fits(scope, work(3))
    assert fits(scope, work(2))


def test_a_keys_cap_holds_for_that_key_alone(scope, key_id):
    cap(scope, 5, key_id)
    assert not fits(scope, work(6, api_key_id=key_id))
    assert fits(scope, work(5, api_key_id=key_id))
    assert fits(scope, work(600))


def test_both_caps_hold_for_a_key_of_a_capped_tenant(scope, key_id):
    cap(scope, 7)
    cap(scope, 5, key_id)
    assert fits(scope, work(4))
    assert not fits(scope, work(4, api_key_id=key_id))
    assert fits(scope, work(3, api_key_id=key_id))


def test_what_the_plan_includes_is_taken_off_for_the_tenant_and_not_for_its_key(make_tenant):
    scope = system_scope(make_tenant().id, "test")
    put_on_plan(scope, prediction={"unit_amount": Decimal(1), "included_quantity": 100})
    with tenant_session(scope) as session:
        key, _ = api_keys.create(session, scope, "app")
        session.commit()
    cap(scope, 0)
    cap(scope, 10, key.id)
    assert not fits(scope, work(11, api_key_id=key.id))
    assert not fits(scope, work(101))
    assert fits(scope, work(100))


def test_tokens_that_cost_parts_of_a_cent_fill_a_cap_exactly(make_tenant):
    scope = system_scope(make_tenant().id, "test")
    with tenant_session(scope) as session:
        key, _ = api_keys.create(session, scope, "app")
        session.commit()
    put_on_plan(scope, prediction={"unit_amount": Decimal("0.00003"), "included_quantity": 0})
    cap(scope, 3, key.id)
    assert not fits(scope, work(100_001, api_key_id=key.id))
    assert fits(scope, work(100_000, api_key_id=key.id))


def test_with_a_volume_price_less_usage_that_costs_more_stays_below_the_cap(make_tenant):
    scope = system_scope(make_tenant().id, "test")
    tiers = [
        {"up_to": 100, "unit_amount": "10", "flat_amount": "0"},
        {"up_to": None, "unit_amount": "1", "flat_amount": "0"},
    ]
    put_on_plan(
        scope,
        prediction={"unit_amount": Decimal(0), "tiers": tiers, "scheme": PriceScheme.VOLUME},
    )
    cap(scope, 999)
    assert not fits(scope, work(200))  # would cost 200 cents, but 100 of them 1,000
    assert fits(scope, work(99))


def test_a_refusal_says_which_budget_and_where_to_raise_it_and_people_are_told_once(scope):
    cap(scope, 10)
    use(scope, work(0), 4)
    for _ in range(3):
        with pytest.raises(
            BudgetReached, match=r"of your tenant is \$0\.10: \$0\.04 is spent.*\$0\.09 more"
        ) as reached:
            reservations.reserve(scope, work(9))
    assert "page 'Budgets'" in str(reached.value)
    with tenant_session(scope) as session:
        (told,) = session.scalars(select(Notification))
    assert told.event == "budget.request_refused"


def test_another_tenants_budget_is_nobody_elses(scope, make_tenant):
    cap(scope, 0)
    other = system_scope(make_tenant().id, "test")
    assert reservations.reserve(other, work(10**6)) is False
    with tenant_session(other) as session:
        assert session.scalars(select(Budget)).all() == []


def test_a_budget_that_many_set_at_once_is_one(scope):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda cents: cap(scope, cents), range(16)))
    with tenant_session(scope) as session:
        (budget,) = session.scalars(select(Budget))
    assert budget.monthly_cents in range(16)
