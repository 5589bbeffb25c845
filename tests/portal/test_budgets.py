"""The page Budgets, and the banner of a tenant whose payment is missing."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from billing import alerts
from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.budgets import Budget
from core.models.notifications import Notification
from core.models.tenants import Tenant
from core.tenancy import Role
from tests.billing.capped import cap, fits, put_on_plan, use, work


@pytest.fixture(autouse=True)
def a_cent_each(admin):
    put_on_plan(admin.scope, prediction={"unit_amount": 1})


def page_of(person) -> str:
    response = person.client.get("/budgets")
    assert response.status_code == 200
    return " ".join(response.get_data(as_text=True).split())


def save(person, **fields):
    return person.client.post(
        "/budgets",
        data={"api_key": "tenant", "amount": "12.34", "effect": "cap", "webhook_url": "", **fields},
    )


def budgets_of(person) -> list[Budget]:
    with tenant_session(person.scope) as session:
        return list(session.scalars(select(Budget)))


def test_finance_sets_a_cap_and_sees_how_it_stands(admin, member):
    finance = member(Role.FINANCE)
    assert "No budgets" in page_of(finance)
    assert save(finance).status_code == 303
    use(finance.scope, work(0), 617)
    assert fits(finance.scope, work(100))
    page = page_of(finance)
    assert "Spent of $12.34" in page
    assert "$6.17" in page
    assert "may cost up to $1.00 more" in page


def test_a_budget_is_replaced_by_the_next_one_and_removed(admin):
    save(admin)
    save(admin, amount="5", effect="alert")
    (budget,) = budgets_of(admin)
    assert (budget.monthly_cents, budget.is_cap) == (500, False)
    assert admin.client.post(f"/budgets/{budget.id}/delete").status_code == 303
    assert budgets_of(admin) == []


def test_a_key_has_a_budget_of_its_own(admin):
    with tenant_session(admin.scope) as session:
        key, _ = api_keys.create(session, admin.scope, "Help desk")
        session.commit()
    assert save(admin, api_key=str(key.id)).status_code == 303
    assert "Help desk" in page_of(admin)
    assert budgets_of(admin)[0].api_key_id == key.id


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"amount": ""}, "Give an amount."),
        ({"amount": "-1"}, "Give an amount from 0"),
        ({"amount": "much"}, "Not a valid decimal value"),
        ({"amount": "NaN"}, "Give an amount from 0"),
        ({"effect": "none"}, "Not a valid choice"),
        ({"api_key": "00000000-0000-0000-0000-000000000001"}, "Not a valid choice"),
        ({"webhook_url": "ftp://a.example"}, "Give an address like"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(admin, fields, problem):
    response = save(admin, **fields)
    assert response.status_code == 422
    assert problem in response.get_data(as_text=True)
    assert budgets_of(admin) == []


def test_a_developer_sees_budgets_and_sets_none(admin, member):
    developer = member(Role.DEVELOPER)
    assert "Set a budget" not in page_of(developer)
    assert save(developer).status_code == 403


def test_alerts_are_listed_and_told_once_at_each_threshold(admin):
    cap(admin.scope, 100)
    for spent in (10, 45, 5, 30, 10):
        use(admin.scope, work(0), spent)
        for _ in range(2):
            with operator_session("test") as session:
                alerts.raise_due(session, admin.scope.tenant_id)
                session.commit()
    with tenant_session(admin.scope) as session:
        told = sorted(row.payload["threshold_percent"] for row in session.scalars(select(Notification)))
    assert told == [50, 80, 100]
    page = page_of(admin)
    assert "80 %" in page
    assert "$0.90" in page


def set_standing(person, **values) -> None:
    with operator_session("test") as session:
        session.execute(update(Tenant).where(Tenant.id == person.scope.tenant_id).values(**values))
        session.commit()


def test_the_banner_says_until_when_the_payment_may_come(admin):
    assert "payment is missing" not in page_of(admin)
    since = now() - timedelta(days=1)
    set_standing(admin, past_due_since=since)
    page = page_of(admin)
    assert "A payment is missing" in page
    assert f"by {since + timedelta(days=7):%-d %b %Y}" in page


def test_the_banner_of_a_suspended_tenant_says_that_its_keys_are_refused(admin):
    set_standing(admin, past_due_since=now() - timedelta(days=9), payment_suspended_at=now())
    assert "your API keys are refused" in page_of(admin)
