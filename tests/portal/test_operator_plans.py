"""The operator's plans: prices change from a day on, and tenants change plan."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from billing.periods import Month
from billing.plans import current_prices, list_holdings
from billing.rating import Tier
from core.clock import now
from core.db import operator_session
from core.models.audit import StaffEvent
from core.models.billing import PlanPrice, PriceKind, PriceScheme
from core.tenancy import StaffRole
from portal.forms.plans import TIER_ROWS

PATH = "/operator/plans/starter/price?kind=prediction"
# Not tomorrow: that is today where midnight passes before the test comes.
SOON = now().date() + timedelta(days=2)


@pytest.fixture
def operator(staff):
    return staff(StaffRole.ADMIN).client


def page(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def change(client, path: str = PATH, **values):
    return client.post(
        path,
        data={
            "scheme": "flat",
            "amount": "0.45",
            "included": "5000000",
            "effective_from": SOON.isoformat(),
            **values,
        },
    )


def price_on(day, kind=PriceKind.PREDICTION):
    with operator_session("test") as session:
        return current_prices(session, "starter", now() + timedelta(days=day))[kind]


def test_the_list_shows_prices_and_how_many_tenants_are_on_each_plan(operator, admin):
    shown = page(operator, "/operator/plans")
    assert "$0.30 per million" in shown
    assert "10,000,000 included" in shown
    assert "$29.00" in shown


def test_a_price_changes_on_its_day_and_both_versions_stay(operator):
    before = price_on(0)
    assert change(operator).location.endswith("/operator/plans/starter")
    assert price_on(0) == before
    after = price_on(2)
    assert (after.unit_amount, after.included_quantity) == (Decimal("0.000045"), 5_000_000)
    shown = page(operator, "/operator/plans/starter")
    assert "Upcoming" in shown
    assert "$0.45 per million" in shown
    assert "$0.30 per million" in shown
    assert "1 change to come" in page(operator, "/operator/plans")


def test_a_fee_is_given_by_the_month(operator):
    assert change(operator, "/operator/plans/starter/price?kind=platform", amount="39.50").status_code == 303
    assert price_on(2, PriceKind.PLATFORM).unit_amount == 3950


def test_the_least_that_usage_costs_is_given_by_the_month(operator):
    assert change(operator, "/operator/plans/starter/price?kind=minimum", amount="50").status_code == 303
    assert price_on(2, PriceKind.MINIMUM).unit_amount == 5000
    assert "$50.00" in page(operator, "/operator/plans/starter")


TIERS = {
    **{f"tiers-{row}-{field}": "" for row in range(TIER_ROWS) for field in ("up_to", "amount", "flat")},
    "scheme": "graduated",
    "amount": "",
    "included": "1000000",
    "tiers-0-up_to": "9000000",
    "tiers-0-amount": "0.40",
    "tiers-2-amount": "0.25",  # an empty row between two does not matter
    "tiers-2-flat": "5",
}


def test_a_price_gets_tiers(operator):
    assert change(operator, **TIERS).status_code == 303
    price = price_on(2)
    assert (price.scheme, price.included_quantity) == (PriceScheme.GRADUATED, 1_000_000)
    assert price.tiers == (
        Tier(9_000_000, Decimal("0.00004")),
        Tier(None, Decimal("0.000025"), Decimal(500)),
    )
    shown = page(operator, "/operator/plans/starter")
    assert "up to 10,000,000: $0.40<" in shown
    assert "beyond 10,000,000: $0.25 + $5.00" in shown


def test_the_form_begins_with_the_tiers_in_force(operator, services):
    with operator_session("test") as session:
        session.add(
            PlanPrice(
                plan_code="starter",
                kind=PriceKind.PREDICTION,
                scheme=PriceScheme.VOLUME,
                unit_amount=Decimal(0),
                included_quantity=0,
                tiers=[
                    {"up_to": 7000, "unit_amount": "0.0004", "flat_amount": "0"},
                    {"up_to": None, "unit_amount": "0.0003", "flat_amount": "250"},
                ],
                effective_from=now(),
            )
        )
        session.commit()
    shown = page(operator, PATH)
    for value in ("7000", "4", "3", "2.5"):
        assert f'value="{value}"' in shown


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"scheme": "stairs"}, "Not a valid choice."),
        ({"tiers-2-amount": "", "tiers-2-flat": ""}, "The last tier has no end"),
        ({"tiers-2-up_to": "9000000", "tiers-3-amount": "0.1"}, "ends above the one before"),
        ({"tiers-0-amount": "-1"}, "Write it like 1234.50"),
        ({"tiers-2-flat": "0.005"}, "at most two decimals"),
        ({"tiers-0-up_to": "many"}, "Not a valid integer value."),
        ({"tiers-0-flat": "5", "included": "0"}, "make it one"),
    ],
)
def test_tiers_that_make_no_sense_are_refused(operator, values, error):
    response = change(operator, **{**TIERS, **values})
    assert response.status_code == 422
    assert error in response.get_data(as_text=True)


def test_the_form_begins_with_the_price_in_force(operator):
    shown = page(operator, PATH)
    assert 'value="0.3"' in shown
    assert 'value="10000000"' in shown


def test_what_is_no_price_is_refused_beside_its_field(operator):
    before = price_on(2)
    for values, error in (
        ({"amount": ""}, "Give the price."),
        ({"amount": "-1"}, "Write it like 1234.50"),
        ({"amount": "NaN"}, "Write it like 1234.50"),
        ({"amount": "1e9"}, "Write it like 1234.50"),
        ({"amount": "0.123456789"}, "Write it like 1234.50"),
        ({"amount": "1,50"}, "Write it like 1234.50"),
        ({"included": "-1"}, "Give a whole number"),
        ({"included": "1" * 30}, "Give a whole number"),
        ({"included": "1.5"}, "Not a valid integer value."),
        ({"effective_from": now().date().isoformat()}, "takes effect in the future"),
        ({"effective_from": "soon"}, "Not a valid date value."),
    ):
        response = change(operator, **values)
        assert response.status_code == 422, values
        assert error in response.get_data(as_text=True), values
    assert price_on(2) == before


def test_a_fee_has_no_parts_of_a_cent(operator):
    response = change(operator, "/operator/plans/starter/price?kind=platform", amount="39.505")
    assert response.status_code == 422
    assert "at most two decimals" in response.get_data(as_text=True)


def test_two_changes_of_one_price_on_one_day_are_refused(operator):
    change(operator)
    response = change(operator, amount="0.50")
    assert response.status_code == 422
    assert "already" in response.get_data(as_text=True)


def test_what_is_not_in_the_catalogue_is_not_found(operator):
    for path in ("gold", "gold/price?kind=prediction", "starter/price", "starter/price?kind=x"):
        assert operator.get(f"/operator/plans/{path}").status_code == 404, path


def test_finance_sees_plans_and_changes_none(staff, admin):
    finance = staff(StaffRole.FINANCE).client
    assert ">Change<" not in page(finance, "/operator/plans/starter")
    assert change(finance).status_code == 403
    response = finance.post(
        f"/operator/tenants/{admin.scope.tenant_id}/plan", data={"plan": "scale", "start": "now"}
    )
    assert response.status_code == 403


def put_on(client, person, plan: str, start: str):
    return client.post(
        f"/operator/tenants/{person.scope.tenant_id}/plan", data={"plan": plan, "start": start}
    )


def holdings_of(person):
    with operator_session("test") as session:
        return list_holdings(session, person.scope.tenant_id)


def test_a_tenant_is_put_on_a_plan_at_once(operator, admin):
    assert put_on(operator, admin, "scale", "now").status_code == 303
    trial, scale = holdings_of(admin)
    assert (scale.plan_code, scale.ends_at) == ("scale", None)
    assert trial.ends_at == scale.starts_at <= now()
    assert "In force" in page(operator, f"/operator/tenants/{admin.scope.tenant_id}")
    with operator_session("test") as session:
        event = session.scalars(select(StaffEvent).where(StaffEvent.action == "plan.changed")).one()
    assert event.target_id == str(admin.scope.tenant_id)


def test_a_tenant_is_put_on_a_plan_with_the_next_month(operator, admin):
    put_on(operator, admin, "starter", "next_month")
    assert holdings_of(admin)[-1].starts_at == Month.containing(now()).end
    assert "Upcoming" in page(operator, f"/operator/tenants/{admin.scope.tenant_id}")


def test_a_plan_that_cannot_be_is_refused(operator, admin):
    for plan, start, error in (
        ("trial", "now", "It is on Free trial already"),
        ("gold", "now", "Not a valid choice."),
        ("", "now", "Choose a plan."),
        ("scale", "yesterday", "Not a valid choice."),
    ):
        response = put_on(operator, admin, plan, start)
        assert response.status_code == 422, (plan, start)
        assert error in response.get_data(as_text=True)
    assert len(holdings_of(admin)) == 1


def make_contract(client, person, copy_of="scale", name="Scale for Acme"):
    return client.post(
        f"/operator/tenants/{person.scope.tenant_id}/contract", data={"copy_of": copy_of, "name": name}
    )


def test_a_contract_is_made_and_its_tenant_alone_put_on_it(operator, admin, other_admin):
    response = make_contract(operator, admin)
    code = response.location.rsplit("/", 1)[1]
    assert "Contract of" in page(operator, f"/operator/plans/{code}")
    assert put_on(operator, other_admin, code, "now").status_code == 422
    assert put_on(operator, admin, code, "now").status_code == 303
    assert "Scale for Acme" in page(admin.client, "/usage")
    assert "Scale for Acme" not in page(other_admin.client, "/usage")


def test_a_contract_wants_a_plan_and_a_name(operator, admin):
    for values, error in (
        ({"copy_of": ""}, "Choose a plan."),
        ({"copy_of": "gold"}, "Not a valid choice."),
        ({"name": " "}, "Name the contract"),
        ({"name": "x" * 81}, "longer than 80"),
    ):
        response = make_contract(operator, admin, **values)
        assert response.status_code == 422, values
        assert error in response.get_data(as_text=True), values


def test_the_limits_of_a_plan_change_and_the_change_is_noted(operator):
    path = "/operator/plans/starter/limits"
    answer = operator.post(path, data={"requests": "4000", "tokens": "2000000"})
    assert answer.location.endswith("/operator/plans/starter")
    assert "4,000 requests, 2,000,000 tokens" in page(operator, "/operator/plans/starter")
    with operator_session("test") as session:
        event = session.scalars(select(StaffEvent).where(StaffEvent.action == "plan.limits_changed")).one()
    assert event.detail["requests_per_minute"] == "3000 to 4000"


@pytest.mark.parametrize("wrong", [{"requests": "0"}, {"tokens": "many"}, {"tokens": str(10**12)}])
def test_limits_that_cannot_be_are_refused(operator, wrong):
    answer = operator.post("/operator/plans/scale/limits", data={"requests": "5", "tokens": "5", **wrong})
    assert answer.status_code == 422
    assert "12,000 requests, 10,000,000 tokens" in page(operator, "/operator/plans/scale")


def test_limits_are_changed_by_who_may_write_plans(staff):
    finance = staff(StaffRole.FINANCE).client
    assert finance.get("/operator/plans/starter/limits").status_code == 403
    assert "Change the limits" not in page(finance, "/operator/plans/starter")
