"""Credits that the operator's staff grants, and what a tenant sees of them."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from billing.credits import list_credits
from core.clock import now
from core.config import get_settings
from core.db import operator_session
from core.models.credit_grants import CreditGrant, CreditKind
from core.models.tenants import Tenant
from core.tenancy import StaffRole


@pytest.fixture
def finance(staff):
    return staff(StaffRole.FINANCE).client


def path(person) -> str:
    return f"/operator/tenants/{person.scope.tenant_id}/credits"


def credit(**values: str) -> dict[str, str]:
    return {"kind": "promotion", "amount": "12.50", "reference": "Spring fair", **values}


def grants() -> list[CreditGrant]:
    with operator_session("test") as session:
        return list(session.scalars(select(CreditGrant)))


def test_credit_is_granted_and_shown_to_both_sides(finance, admin):
    last_day = now().date() + timedelta(days=30)
    data = credit(note="For the stand", expires_on=last_day.isoformat())
    assert finance.post(path(admin), data=data).status_code == 303
    (granted,) = grants()
    assert (granted.kind, granted.amount_cents, granted.currency) == (CreditKind.PROMOTION, 1250, "USD")
    assert granted.expires_at is not None
    assert granted.expires_at.date() == last_day + timedelta(days=1)
    shown = finance.get(path(admin)).get_data(as_text=True)
    for text in ("Left: $12.50", "Spring fair: For the stand", "Available"):
        assert text in shown
    assert "Your credit of $12.50 is drawn first" in admin.client.get("/invoices").get_data(as_text=True)


def test_a_form_that_is_sent_twice_grants_once(finance, admin):
    for _ in range(2):
        assert finance.post(path(admin), data=credit()).status_code == 303
    assert len(grants()) == 1


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"amount": ""}, "Give the amount."),
        ({"amount": "0"}, "at least one cent"),
        ({"amount": "1,50"}, "Write it like 1234.50"),
        ({"kind": "trial"}, "Not a valid choice"),
        ({"reference": " "}, "Give a reference"),
        ({"expires_on": "2020-01-01"}, "cannot expire before it is granted"),
        ({"note": "x" * 301}, "Use at most 300 characters."),
    ],
)
def test_credit_that_makes_no_sense_is_refused(finance, admin, values, error):
    response = finance.post(path(admin), data=credit(**values))
    assert response.status_code == 422
    assert error in response.get_data(as_text=True)
    assert grants() == []


def test_credit_for_nobody_is_not_found(finance, staff, admin):
    missing = "/operator/tenants/00000000-0000-0000-0000-000000000000/credits"
    assert finance.get(missing).status_code == finance.post(missing, data=credit()).status_code == 404
    assert admin.client.get(path(admin)).status_code == 404


def test_a_new_tenant_has_the_trials_credit(client, monkeypatch):
    monkeypatch.setenv("TRIAL_CREDIT_CENTS", "500")
    get_settings.cache_clear()
    try:
        data = {
            "tenant_name": "Acme",
            "name": "Ada",
            "email": "ada@example.com",
            "password": "correct horse battery",
            "terms": "y",
        }
        assert client.post("/signup", data=data).status_code == 303
    finally:
        get_settings.cache_clear()
    with operator_session("test") as session:
        tenant = session.scalars(select(Tenant)).one()
        (granted,) = list_credits(session, tenant.id)
    assert (granted.grant.kind, granted.balance_cents) == (CreditKind.TRIAL, 500)
