"""Plans: prices get versions, tenants change plan, and neither touches what usage has cost."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from billing import plans
from billing.catalogue import ensure_plans
from billing.close import close_month
from billing.plans import PlanError
from billing.prices import PriceTerms, add_price
from billing.rating import NoPriceInForce, Tier
from core.clock import now
from core.models.audit import AuditEvent, StaffEvent
from core.models.billing import Plan, PlanPrice, PriceKind, PriceScheme, Subscription
from tests.billing.months import FEBRUARY, JANUARY, STAFF, after, old_tenant, on, use

TOMORROW = timedelta(days=1)


def raise_prediction_price(db, at):
    terms = PriceTerms(Decimal("0.00006"), 1000)
    return add_price(db, STAFF, "starter", PriceKind.PREDICTION, terms, at)


def test_a_new_price_counts_from_its_moment_on_and_not_before(db):
    before = plans.current_prices(db, "starter")[PriceKind.PREDICTION]
    at = now() + TOMORROW
    raise_prediction_price(db, at)
    assert plans.current_prices(db, "starter", at - timedelta(seconds=1))[PriceKind.PREDICTION] == before
    changed = plans.current_prices(db, "starter", at)[PriceKind.PREDICTION]
    assert (changed.unit_amount, changed.included_quantity) == (Decimal("0.00006"), 1000)


def test_a_price_cannot_begin_in_the_past(db):
    with pytest.raises(PlanError, match="takes effect in the future"):
        raise_prediction_price(db, now())


def test_two_versions_cannot_begin_at_the_same_moment(db):
    at = now() + TOMORROW
    raise_prediction_price(db, at)
    with pytest.raises(PlanError, match="There is a prediction price from"):
        raise_prediction_price(db, at)


@pytest.mark.parametrize(
    ("plan", "kind", "amount", "included", "reason"),
    [
        ("starter", PriceKind.PREDICTION, "-1", 0, "zero or more"),
        ("starter", PriceKind.PREDICTION, "1", -1, "zero or more"),
        ("starter", PriceKind.PLATFORM, "100", 5, "no included quantity"),
        ("starter", PriceKind.PREDICTION, "0.0000000000001", 0, "at most 12 decimals"),
        ("trial", PriceKind.PLATFORM, "100", 0, "cannot have a monthly fee"),
        ("trial", PriceKind.MINIMUM, "100", 0, "cannot have a monthly minimum"),
        ("none", PriceKind.PREDICTION, "1", 0, "There is no plan 'none'"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(db, plan, kind, amount, included, reason):
    with pytest.raises(PlanError, match=reason):
        add_price(db, STAFF, plan, kind, PriceTerms(Decimal(amount), included), now() + TOMORROW)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"tiers": ()}, "The last tier has no end"),
        ({"tiers": (Tier(10, Decimal(1)),)}, "The last tier has no end"),
        ({"tiers": (Tier(None, Decimal(1)), Tier(None, Decimal(1)))}, "ends above the one before"),
        (
            {"tiers": (Tier(9, Decimal(1)), Tier(9, Decimal(1)), Tier(None, Decimal(1)))},
            "ends above the one before",
        ),
        ({"tiers": (Tier(0, Decimal(1)), Tier(None, Decimal(1)))}, "ends above the one before"),
        ({"unit_amount": Decimal(1)}, "has its amounts in them"),
        ({"tiers": (Tier(5, Decimal(1)), Tier(None, Decimal(1), Decimal("0.5")))}, "in whole cents"),
        ({"tiers": (Tier(None, Decimal(-1)),)}, "zero or more"),
        ({"tiers": (Tier(None, Decimal(1), Decimal(100)),)}, "make it one"),
        ({"scheme": PriceScheme.VOLUME, "included_quantity": 5}, "no included quantity"),
        ({"scheme": PriceScheme.FLAT}, "A flat price has no tiers"),
    ],
)
def test_tiers_that_make_no_sense_are_refused(db, terms, reason):
    sound = {
        "scheme": PriceScheme.GRADUATED,
        "tiers": (Tier(10, Decimal(2)), Tier(None, Decimal(1), Decimal(100))),
    }
    with pytest.raises(PlanError, match=reason):
        add_price(
            db,
            STAFF,
            "starter",
            PriceKind.PREDICTION,
            PriceTerms(**{**sound, **terms}),
            now() + TOMORROW,
        )


def test_a_monthly_amount_has_no_tiers(db):
    tiers = PriceTerms(scheme=PriceScheme.GRADUATED, tiers=(Tier(None, Decimal(1)),))
    with pytest.raises(PlanError, match="has no tiers"):
        add_price(db, STAFF, "starter", PriceKind.MINIMUM, tiers, now() + TOMORROW)


def test_tiers_are_read_as_they_were_given(db):
    at = now() + TOMORROW
    tiers = (Tier(10, Decimal("0.000000000001")), Tier(None, Decimal(1), Decimal(100)))
    terms = PriceTerms(scheme=PriceScheme.GRADUATED, tiers=tiers)
    add_price(db, STAFF, "starter", PriceKind.PREDICTION, terms, at)
    price = plans.current_prices(db, "starter", at)[PriceKind.PREDICTION]
    assert (price.scheme, price.tiers) == (PriceScheme.GRADUATED, tiers)


def test_a_change_of_price_is_in_the_operators_log(db):
    price = raise_prediction_price(db, now() + TOMORROW)
    event = db.scalars(select(StaffEvent).where(StaffEvent.action == "price.added")).one()
    assert (event.target_id, event.actor_label) == (str(price.id), STAFF.label)
    assert event.detail["cents_per_unit"] == "0.00006"


@pytest.mark.parametrize("statement", ["UPDATE plan_prices SET unit_amount = 0", "DELETE FROM plan_prices"])
def test_nobody_alters_a_price(db, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        db.execute(text(statement))


def test_the_database_itself_refuses_a_negative_price(db):
    db.add(
        PlanPrice(
            plan_code="starter",
            kind=PriceKind.TRAINING,
            unit_amount=Decimal(-1),
            included_quantity=0,
            effective_from=now(),
        )
    )
    with pytest.raises(IntegrityError, match="not_negative"):
        db.flush()


def test_adding_the_first_catalogue_again_changes_nothing(db):
    db.execute(update(Plan).where(Plan.code == "starter").values(name="Beginner"))
    raise_prediction_price(db, now() + TOMORROW)
    before = plans.list_prices(db)
    ensure_plans(db)
    assert plans.list_prices(db) == before
    assert plans.get_plan(db, "starter").name == "Beginner"


def test_every_plan_has_every_price(db):
    for plan in plans.list_plans(db):
        assert plans.current_prices(db, plan.code).keys() == set(PriceKind)
    with pytest.raises(NoPriceInForce):
        plans.current_prices(db, "starter", now() - timedelta(days=36500))


def test_who_subscribed_to_nothing_is_on_the_default_plan(db):
    assert plans.current_plan(db, old_tenant(db).id).code == plans.DEFAULT_PLAN_CODE


def test_the_plan_before_ends_where_the_next_begins(db):
    tenant = old_tenant(db, "starter")
    plans.subscribe(db, tenant.id, "scale", on(10))
    first, second = plans.list_holdings(db, tenant.id)
    assert (first.ends_at, second.starts_at, second.ends_at) == (on(10), on(10), None)
    assert plans.current_plan(db, tenant.id, on(9)).code == "starter"
    assert plans.current_plan(db, tenant.id, on(10)).code == "scale"


def test_subscribing_to_the_same_plan_again_changes_nothing(db):
    tenant = old_tenant(db, "starter")
    first = db.scalars(select(Subscription).where(Subscription.tenant_id == tenant.id)).one()
    assert plans.subscribe(db, tenant.id, "starter", on(10)) is first


def test_a_change_cannot_come_before_the_last_one(db):
    tenant = old_tenant(db, "starter")
    plans.subscribe(db, tenant.id, "scale", on(10))
    with pytest.raises(PlanError, match="Choose a time after 2025-01-10 12:00 UTC"):
        plans.subscribe(db, tenant.id, "trial", on(10))


def test_a_change_cannot_reach_into_a_month_that_is_invoiced(db):
    tenant = old_tenant(db, "starter")
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    with pytest.raises(PlanError, match="Usage up to 2025-02-01 00:00 UTC is invoiced"):
        plans.subscribe(db, tenant.id, "scale", on(31))
    plans.subscribe(db, tenant.id, "scale", FEBRUARY.start)


def test_after_an_early_invoice_a_change_may_come_in_the_same_month(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 10)
    close_month(db, JANUARY, STAFF, early=True, at=on(10))
    with pytest.raises(PlanError, match="Usage up to 2025-01-10 12:00 UTC is invoiced"):
        plans.subscribe(db, tenant.id, "scale", on(10, hour=11))
    plans.subscribe(db, tenant.id, "scale", on(10, hour=13))


def test_a_tenant_keeps_its_currency(db):
    db.add(Plan(code="euro", name="Euro", description="", currency="EUR", position=9))
    db.flush()
    for tenant in (old_tenant(db), old_tenant(db, "starter")):
        with pytest.raises(PlanError, match="keeps its currency"):
            plans.subscribe(db, tenant.id, "euro", on(10))


def test_the_staffs_change_of_plan_is_in_both_logs_and_who_made_it_in_the_operators_alone(db):
    tenant = old_tenant(db, "starter")
    plans.change_plan(db, STAFF, tenant.id, "scale")
    event = db.scalars(select(AuditEvent).where(AuditEvent.action == "plan.changed")).one()
    staff_event = db.scalars(select(StaffEvent).where(StaffEvent.action == "plan.changed")).one()
    assert (event.actor_label, event.actor_id) == ("operator", None)
    assert (staff_event.actor_label, staff_event.detail["plan"]) == (STAFF.label, "scale")


@pytest.mark.parametrize(
    ("plan", "at", "reason"),
    [
        ("scale", on(10), "cannot lie in the past"),
        ("starter", None, "It is on Starter already"),
        ("gold", None, "There is no plan 'gold'"),
    ],
)
def test_the_staff_cannot_change_a_plan_so(db, plan, at, reason):
    tenant = old_tenant(db, "starter")
    with pytest.raises(PlanError, match=reason):
        plans.change_plan(db, STAFF, tenant.id, plan, at)
