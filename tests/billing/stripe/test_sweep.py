"""What becomes of a month when no webhook ever arrives."""

from datetime import timedelta

from billing.stripe import inbox
from billing.stripe.catalogue_sync import StripeType, get_stripe_id
from billing.stripe.sweep import sweep
from core.db import operator_session
from core.models.billing import InvoiceStatus
from core.models.stripe import ReportStatus
from core.models.usage import UsageKind
from tests.billing.months import JANUARY, on
from tests.billing.stripe.collecting import customer_of, invoice_of, mirror_of, reports_of, unhandled


def test_sweeps_alone_bring_a_month_from_its_draft_to_its_payment(stripe):
    stripe.is_told = False
    tenant = stripe.subscribe("starter")
    stripe.use(tenant, on(20), 90_000_000)
    stripe.travel(JANUARY.end + timedelta(minutes=10))
    stripe.report()
    assert sweep(stripe.client, stripe.at) > 0
    assert mirror_of(tenant, JANUARY).status == "draft"
    stripe.close(JANUARY)
    stripe.travel(stripe.at + timedelta(days=1))
    sweep(stripe.client, stripe.at)
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.PAID
    assert unhandled() == []
    assert sweep(stripe.client, stripe.at) == 0


def test_a_sweep_forgets_what_was_handled_long_ago(stripe):
    stripe.subscribe()
    stripe.travel(stripe.at + timedelta(days=1))
    stripe.travel(stripe.at + inbox.KEPT + timedelta(days=1))
    with operator_session("test") as session:
        before = len(inbox.list_events(session))
    sweep(stripe.client, stripe.at)
    with operator_session("test") as session:
        assert 0 < len(inbox.list_events(session)) < before


def test_a_sweep_finds_the_reports_that_stripe_rejected(stripe):
    tenant = stripe.subscribe()
    stripe.is_told = False
    with operator_session("test") as session:
        meter = get_stripe_id(session, StripeType.METER, UsageKind.PREDICTION)
    stripe.client.post(f"/v1/billing/meters/{meter}/deactivate", key="off")
    stripe.use(tenant, on(10, hour=13), 1_000)
    stripe.travel(on(10, hour=16))
    stripe.report()
    sweep(stripe.client, stripe.at)
    assert [report.status for report in reports_of(tenant)] == [ReportStatus.REJECTED]


def test_a_sweep_finds_another_card_and_a_subscription_that_ended(stripe):
    tenant = stripe.subscribe()
    stripe.is_told = False
    customer = customer_of(tenant.id)
    stripe.fake.replace_card(customer.customer_id, "pm_card_mastercard")
    stripe.client.delete(f"/v1/subscriptions/{customer.subscription_id}")
    stripe.travel(on(11))
    sweep(stripe.client, stripe.at)
    customer = customer_of(tenant.id)
    assert (customer.card or {})["brand"] == "mastercard"
    assert (customer.subscription_id, customer.subscription_status) == (None, "canceled")
