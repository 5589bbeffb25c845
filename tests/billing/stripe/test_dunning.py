"""A card that is refused: days of grace, then refused keys, and working ones again as soon as it is paid."""

from datetime import datetime, timedelta

import pytest

from billing import standing
from billing.payments import record_payment
from billing.settlement import settlement_of
from core.db import operator_session
from core.models.billing import InvoiceStatus
from core.models.tenants import Tenant
from tests.billing.months import JANUARY, STAFF
from tests.billing.stripe.collecting import invoice_of, mirror_of

GRACE = timedelta(days=7)


@pytest.fixture
def tenant(stripe):
    """One whose card was refused for January."""
    tenant = stripe.subscribe("starter")
    stripe.give_card(tenant, "pm_card_chargeCustomerFail")
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(hours=2))
    return tenant


def stands(tenant) -> Tenant:
    with operator_session("test") as session:
        return session.get_one(Tenant, tenant.id)


def failure_of(tenant) -> datetime:
    """When the card was refused, by the tenant's standing."""
    since = stands(tenant).past_due_since
    assert since is not None
    return since


def let_pass(stripe, to) -> None:
    """Let time pass, with what the clock does about standings."""
    stripe.travel(to)
    with operator_session("test") as session:
        standing.refresh_due(session, stripe.at)
        session.commit()


def test_a_refused_card_makes_the_tenant_past_due_and_no_more(stripe, tenant):
    failed_at = failure_of(tenant)
    assert mirror_of(tenant, JANUARY).payment_failed_at == failed_at
    let_pass(stripe, failed_at + GRACE - timedelta(minutes=1))
    assert stands(tenant).payment_suspended_at is None


def test_after_the_grace_it_is_suspended_until_a_card_pays(stripe, tenant):
    let_pass(stripe, failure_of(tenant) + GRACE)
    assert stands(tenant).payment_suspended_at is not None
    stripe.give_card(tenant, "pm_card_visa")
    stripe.client.post(f"/v1/invoices/{mirror_of(tenant, JANUARY).stripe_invoice_id}/pay", key="at once")
    assert stands(tenant).payment_suspended_at is not None

    stripe.handle()
    found = stands(tenant)
    assert (found.past_due_since, found.payment_suspended_at) == (None, None)
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.PAID


def test_a_bank_transfer_reinstates_it_too(stripe, tenant):
    let_pass(stripe, failure_of(tenant) + GRACE)
    invoice = invoice_of(tenant, JANUARY)
    with operator_session("test") as session:
        left = settlement_of(session, invoice).to_pay_cents
        record_payment(session, STAFF, invoice.id, left, "Transfer 7", stripe.at)
        session.commit()
    let_pass(stripe, stripe.at + timedelta(minutes=1))
    assert stands(tenant).payment_suspended_at is None


def test_an_invoice_given_up_at_stripe_is_still_missing(stripe, tenant):
    path = f"/v1/invoices/{mirror_of(tenant, JANUARY).stripe_invoice_id}/mark_uncollectible"
    stripe.client.post(path, key="by hand")
    let_pass(stripe, failure_of(tenant) + GRACE)
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.UNCOLLECTIBLE
    assert stands(tenant).payment_suspended_at is not None


def test_an_invoice_made_void_at_stripe_is_no_missing_payment(stripe, tenant):
    stripe.client.post(f"/v1/invoices/{mirror_of(tenant, JANUARY).stripe_invoice_id}/void", key="by hand")
    stripe.handle()
    assert stands(tenant).past_due_since is None
