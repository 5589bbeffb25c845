"""Contracts: a plan of one tenant's own, which no other sees or is put on."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from billing import plans
from billing.contracts import make_contract
from billing.plans import PlanError
from billing.prices import PriceTerms, add_price
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.audit import StaffEvent
from core.models.billing import Plan, PlanPrice, PriceKind
from core.tenancy import system_scope
from tests.billing.months import STAFF, old_tenant


def a_contract(db, tenant, plan="scale"):
    return make_contract(db, STAFF, tenant.id, plan, "  Scale for Acme ")


def test_a_contract_begins_with_the_prices_and_limits_of_the_plan(db):
    contract = a_contract(db, old_tenant(db))
    plan = plans.get_plan(db, "scale")
    assert contract.name == "Scale for Acme"
    assert contract.requests_per_minute == plan.requests_per_minute
    copied, own = plans.current_prices(db, "scale"), plans.current_prices(db, contract.code)
    for kind in PriceKind:
        assert own[kind].unit_amount == copied[kind].unit_amount
        assert own[kind].included_quantity == copied[kind].included_quantity


def test_its_prices_change_and_the_plans_stay(db):
    contract = a_contract(db, old_tenant(db))
    at = now() + timedelta(days=1)
    terms = PriceTerms(Decimal("0.00001"), 0)
    add_price(db, STAFF, contract.code, PriceKind.PREDICTION, terms, at)
    assert plans.current_prices(db, contract.code, at)[PriceKind.PREDICTION].unit_amount == Decimal("0.00001")
    assert plans.current_prices(db, "scale", at)[PriceKind.PREDICTION].unit_amount == Decimal("0.000015")


def test_only_its_tenant_is_offered_it_and_put_on_it(db):
    tenant, other = old_tenant(db), old_tenant(db)
    contract = a_contract(db, tenant)
    assert contract in plans.list_plans(db, tenant.id)
    assert contract not in plans.list_plans(db, other.id)
    with pytest.raises(PlanError, match="is another tenant's contract"):
        plans.change_plan(db, STAFF, other.id, contract.code)
    plans.change_plan(db, STAFF, tenant.id, contract.code)
    assert plans.current_plan(db, tenant.id) is contract


def test_the_database_hides_it_from_other_tenants(make_tenant):
    tenant, other = make_tenant(), make_tenant()
    with operator_session("test") as db:
        code = a_contract(db, tenant).code
        db.commit()
    for one, sees in ((tenant, True), (other, False)):
        with tenant_session(system_scope(one.id, "test")) as session:
            assert (session.get(Plan, code) is not None) == sees
            prices = session.scalars(select(PlanPrice).where(PlanPrice.plan_code == code)).all()
            assert bool(prices) == sees


def test_who_made_it_of_what_is_in_the_operators_log(db):
    tenant = old_tenant(db)
    contract = a_contract(db, tenant)
    event = db.scalars(select(StaffEvent).where(StaffEvent.action == "contract.made")).one()
    assert (event.target_id, event.actor_label) == (contract.code, STAFF.label)
    assert event.detail == {"tenant": str(tenant.id), "copied_from": "scale"}


def test_a_contract_is_not_copied_and_wants_a_name(db):
    tenant = old_tenant(db)
    contract = a_contract(db, tenant)
    for plan, name, reason in (
        (contract.code, "Again", "copy a plan of the catalogue"),
        ("gold", "Gold", "There is no plan 'gold'"),
        ("scale", " ", "Name the contract"),
    ):
        with pytest.raises(PlanError, match=reason):
            make_contract(db, STAFF, tenant.id, plan, name)
