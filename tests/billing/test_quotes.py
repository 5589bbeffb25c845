"""What more usage would cost now: what is left of the month's quota first, then the price in force."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing import ledger
from billing.bills import tenant_bill
from billing.periods import Month
from billing.plans import subscribe
from billing.quotes import quote
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.billing import PriceKind
from core.models.usage import UsageKind, UsageSource
from core.tenancy import system_scope
from tests.billing.tiers import tiered_plan

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
def scope(make_tenant):
    return system_scope(make_tenant().id, "test")


def use(scope, quantity, at=AT - timedelta(days=1), kind=UsageKind.TRAINING):
    with tenant_session(scope) as session:
        usage = ledger.Usage(f"{kind}-{at}-{quantity}", kind, quantity, UsageSource.JOB, occurred_at=at)
        ledger.record(session, scope.tenant_id, usage)
        session.commit()


def quoted(scope, quantity, at=AT):
    with tenant_session(scope) as session:
        return quote(session, scope.tenant_id, PriceKind.TRAINING, quantity, at)


def test_what_the_plan_includes_costs_nothing(scope):
    found = quoted(scope, 500_000)
    assert (found.plan.code, found.quota_left, found.rated.amount_cents) == ("trial", 500_000, 0)


def test_what_was_used_of_the_month_takes_its_part_of_the_quota(scope):
    use(scope, 400_000)
    found = quoted(scope, 1_100_000)
    assert found.quota_left == 100_000
    assert (found.rated.included_quantity, found.rated.amount_cents) == (100_000, 2_00)


def test_a_quota_that_is_used_up_is_not_given_again(scope):
    use(scope, 900_000)
    found = quoted(scope, 1_000_000)
    assert (found.quota_left, found.rated.included_quantity, found.rated.amount_cents) == (0, 0, 2_00)


def test_other_months_and_other_kinds_take_nothing(scope):
    use(scope, 400_000, at=AT - timedelta(days=31))
    use(scope, 400_000, kind=UsageKind.PREDICTION)
    assert quoted(scope, 1).quota_left == 500_000


def test_the_price_is_that_of_the_plan_held_now(scope):
    with operator_session("test") as session:
        subscribe(session, scope.tenant_id, "scale")
        session.commit()
    found = quoted(scope, 1, at=now())
    assert (found.plan.code, found.price.unit_amount) == ("scale", Decimal("0.000075"))
    assert found.quota_left == 100_000_000


def test_the_bill_grows_by_what_was_quoted(scope):
    use(scope, 450_000)
    expected = quoted(scope, 1_234_567).rated.amount_cents

    def total():
        with tenant_session(scope) as session:
            return tenant_bill(session, scope.tenant_id, Month.containing(AT)).total_cents

    before = total()
    use(scope, 1_234_567, at=AT)
    assert total() - before == expected


def test_a_quote_goes_on_where_the_months_tiers_are(scope):
    with operator_session("test") as session:
        subscribe(session, scope.tenant_id, tiered_plan(session))
        session.commit()
    use(scope, 4_000_000, at=now(), kind=UsageKind.CHAT_OUTPUT)
    with tenant_session(scope) as session:
        found = quote(session, scope.tenant_id, PriceKind.CHAT_OUTPUT, 3_000_000)
    # One million in the first tier, two in the second, which that reaches.
    assert found.rated.amount_cents == 40 + 60 + 150
