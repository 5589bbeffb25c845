"""What becomes of a destroyed tenant at Stripe: its last month is collected, and then it is no customer any more."""

from datetime import datetime, timedelta

import pytest

from billing.cancelling import mark_uncollectible
from billing.stripe import leaving, pushing
from billing.stripe.sweep import sweep
from core.db import operator_session
from core.models.billing import InvoiceStatus
from core.models.tenants import Tenant, TenantDeletion, TenantStatus
from core.tenancy import ActorKind
from tests.billing.months import JANUARY, STAFF, on
from tests.billing.stripe.collecting import customer_of, invoice_of, mirror_of
from tests.fake_stripe.failures import Failure


def destroy(tenant: Tenant, at: datetime) -> None:
    """What of a destruction matters here."""
    with operator_session("test") as session:
        session.get_one(Tenant, tenant.id).status = TenantStatus.DELETED
        session.add(
            TenantDeletion(
                tenant_id=tenant.id,
                requested_by_kind=ActorKind.STAFF,
                requested_at=at,
                due_at=at,
                destroyed_at=at,
                previous_status=TenantStatus.ACTIVE,
                certificate={},
                signature="",
            )
        )
        session.merge(customer_of(tenant.id)).card = None
        session.commit()


@pytest.fixture
def tenant(stripe) -> Tenant:
    """Used something in January, and was destroyed on the 21st."""
    tenant: Tenant = stripe.subscribe("starter")
    stripe.use(tenant, on(20), 90_000_000)
    stripe.travel(on(21))
    destroy(tenant, stripe.at)
    return tenant


def is_customer(stripe, tenant) -> bool:
    return not stripe.client.get(f"/v1/customers/{customer_of(tenant.id).customer_id}").get("deleted")


def test_its_last_month_is_collected_before_stripe_forgets_it(stripe, tenant):
    sweep(stripe.client, stripe.at)
    assert is_customer(stripe, tenant)
    stripe.travel(JANUARY.end + timedelta(minutes=10))
    sweep(stripe.client, stripe.at)
    assert mirror_of(tenant, JANUARY).status == "draft"
    assert is_customer(stripe, tenant)
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(days=1))
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.PAID
    sweep(stripe.client, stripe.at)
    assert not is_customer(stripe, tenant)
    assert customer_of(tenant.id).deleted_at == stripe.at


def test_one_whose_card_is_refused_stays_a_customer_until_finance_gives_up(stripe, tenant):
    stripe.fake.replace_card(customer_of(tenant.id).customer_id, "pm_card_chargeCustomerFail")
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(days=1))
    sweep(stripe.client, stripe.at)
    assert mirror_of(tenant, JANUARY).status == "open"
    assert is_customer(stripe, tenant)
    with operator_session("test") as session:
        mark_uncollectible(session, STAFF, invoice_of(tenant, JANUARY).id, "Nobody is there any more")
        session.commit()
    pushing.push_all(stripe.client)
    stripe.handle()
    sweep(stripe.client, stripe.at)
    assert not is_customer(stripe, tenant)


def test_what_was_destroyed_of_it_does_not_come_back_from_stripe(stripe, tenant):
    sweep(stripe.client, stripe.at)
    stripe.turn(JANUARY)
    sweep(stripe.client, stripe.at)
    assert customer_of(tenant.id).card is None
    assert mirror_of(tenant, JANUARY).hosted_url is None


@pytest.mark.parametrize("failure", Failure)
def test_where_stripe_does_not_answer_the_next_sweep_goes_on(stripe, tenant, failure):
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(days=1))
    stripe.fake.failures.plan(failure, "/v1/customers", method="delete")
    leaving.end_all(stripe.client, stripe.at)
    assert customer_of(tenant.id).deleted_at is None
    leaving.end_all(stripe.client, stripe.at)
    assert customer_of(tenant.id).deleted_at == stripe.at


def test_a_customer_that_is_gone_already_counts_as_deleted(stripe, tenant):
    sweep(stripe.client, stripe.at)
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(days=1))
    stripe.client.delete(f"/v1/customers/{customer_of(tenant.id).customer_id}")
    sweep(stripe.client, stripe.at)
    assert customer_of(tenant.id).deleted_at == stripe.at


def test_a_tenant_that_stays_is_left_alone(stripe):
    tenant = stripe.subscribe()
    sweep(stripe.client, stripe.at)
    assert is_customer(stripe, tenant)
