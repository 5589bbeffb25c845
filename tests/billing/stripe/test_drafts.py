"""A month that Stripe collects: its draft waits, gets what it cannot rate, is compared to the cent, and is paid."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from billing.corrections import reverse
from billing.credits import grant_credit, list_credits
from billing.invoices import to_pay_cents
from billing.plans import subscribe
from billing.stripe import review, subscriptions
from billing.stripe.following import FINALISED_EARLY
from core.config import get_settings
from core.db import operator_session
from core.models.billing import Collection, InvoiceStatus
from core.models.credit_grants import CreditKind
from core.models.payments import Payment
from core.models.stripe import ReportStatus
from core.models.usage import UsageFact, UsageKind
from tests.billing.months import FEBRUARY, JANUARY, STAFF, on
from tests.billing.stripe.collecting import (
    customer_of,
    invoice_of,
    lines_of,
    mirror_of,
    reports_of,
    unhandled,
)
from tests.fake_stripe.failures import Failure


def stripes(stripe, tenant, month=JANUARY):
    """Stripe's own invoice."""
    return stripe.client.get(f"/v1/invoices/{mirror_of(tenant, month).stripe_invoice_id}")


def differences(tenant, month=JANUARY):
    return {
        line["line"]: line["stripe_cents"] - line["ledger_cents"]
        for line in mirror_of(tenant, month).comparison or ()
        if line["stripe_cents"] != line["ledger_cents"]
    }


def test_a_month_is_compared_issued_finalised_and_paid(stripe):
    tenant = stripe.subscribe("starter")
    stripe.use(tenant, on(10, hour=14), 30_000_000)
    stripe.use(tenant, on(20), 5_000_123, UsageKind.CHAT_OUTPUT)
    stripe.turn(JANUARY)
    ours, theirs = invoice_of(tenant, JANUARY), stripes(stripe, tenant)
    assert ours.collection is Collection.STRIPE
    assert ours.status is InvoiceStatus.OPEN
    assert theirs["status"] == "open"
    assert theirs["total"] == ours.total_cents > 0
    assert differences(tenant) == {}

    stripe.travel(stripe.at + timedelta(hours=2))
    assert stripes(stripe, tenant)["status"] == "paid"
    ours = invoice_of(tenant, JANUARY)
    assert ours.status is InvoiceStatus.PAID
    with operator_session("test") as session:
        [payment] = session.scalars(select(Payment))
    assert (payment.amount_cents, payment.collection) == (ours.total_cents, Collection.STRIPE)
    assert unhandled() == []


def test_stripe_does_not_finalise_before_the_month_is_closed(stripe):
    tenant = stripe.subscribe()
    stripe.use(tenant, on(20), 1_000)
    stripe.travel(JANUARY.end + timedelta(minutes=1))
    stripe.travel(JANUARY.end + timedelta(days=2))
    stripe.advance()
    assert stripes(stripe, tenant)["status"] == "draft"
    stripe.report()
    stripe.close(JANUARY)
    assert stripes(stripe, tenant)["status"] == "open"


def test_what_stripe_finalised_while_we_were_away_is_held(stripe):
    tenant = stripe.subscribe("starter")
    stripe.use(tenant, on(20), 90_000_000)
    stripe.travel(on(21))
    stripe.report()
    stripe.travel(JANUARY.end + timedelta(hours=3))
    stripe.close(JANUARY)
    ours, row = invoice_of(tenant, JANUARY), mirror_of(tenant, JANUARY)
    assert ours.status is InvoiceStatus.DRAFT
    assert row.held_reason == FINALISED_EARLY
    collected = stripes(stripe, tenant)["amount_paid"]
    assert 0 < collected < ours.total_cents

    review.accept(stripe.client, STAFF, row.id, "The worker was away", stripe.at)
    ours = invoice_of(tenant, JANUARY)
    assert ours.status is InvoiceStatus.OPEN
    with operator_session("test") as session:
        assert to_pay_cents(session, ours) == ours.total_cents - collected


def test_last_hours_usage_is_counted_before_the_draft_is_compared(stripe):
    tenant = stripe.subscribe("scale")
    stripe.use(tenant, JANUARY.end - timedelta(minutes=1), 40_000_000)
    stripe.travel(JANUARY.end + timedelta(minutes=1))
    stripe.close(JANUARY)
    assert [report.status for report in reports_of(tenant)] == [ReportStatus.SENT]
    assert stripes(stripe, tenant)["total"] == invoice_of(tenant, JANUARY).total_cents


def test_a_fact_that_comes_after_the_close_is_not_reported_and_goes_on_the_next_invoice(stripe):
    tenant = stripe.subscribe("scale")
    stripe.use(tenant, on(20), 40_000_000)
    stripe.travel(JANUARY.end + timedelta(minutes=1))
    stripe.fake.failures.plan(Failure.BROKEN, "/v1/billing/meter_events", times=1)
    stripe.close(JANUARY)
    stripe.use(tenant, on(20), 10_000_000)
    stripe.travel(stripe.at + timedelta(hours=2))
    stripe.report()
    stripe.advance()
    assert sum(report.quantity for report in reports_of(tenant)) == 40_000_000
    assert stripes(stripe, tenant)["status"] == "open"

    stripe.turn(FEBRUARY)
    ours, theirs = invoice_of(tenant, FEBRUARY), stripes(stripe, tenant, FEBRUARY)
    assert any(line.usage_month == JANUARY.days[0] for line in lines_of(ours))
    assert theirs["total"] == ours.total_cents
    assert theirs["status"] == "open"


def test_usage_before_the_card_was_given_is_an_item_of_the_first_invoice(stripe):
    tenant = stripe.subscribe("scale")
    stripe.use(tenant, on(5), 800_000_000)
    stripe.use(tenant, on(20), 200_000_000)
    stripe.turn(JANUARY)
    theirs = stripes(stripe, tenant)
    assert theirs["total"] == invoice_of(tenant, JANUARY).total_cents
    assert theirs["status"] == "open"
    assert any("used before the subscription" in line["description"] for line in theirs["lines"]["data"])


def test_a_plan_changed_in_the_month_is_an_item_and_the_next_month_has_the_new_prices(stripe):
    tenant = stripe.subscribe("starter")
    stripe.use(tenant, on(12), 60_000_000)
    stripe.use(tenant, on(22), 60_000_000)
    with operator_session("test") as session:
        subscribe(session, tenant.id, "scale", on(20))
        session.commit()
    stripe.turn(JANUARY)
    theirs = stripes(stripe, tenant)
    assert theirs["total"] == invoice_of(tenant, JANUARY).total_cents
    assert any("price changed" in line["description"] for line in theirs["lines"]["data"])

    subscriptions.align_all(stripe.client, stripe.at)
    assert not subscriptions.align(stripe.client, tenant.id, stripe.at)
    stripe.use(tenant, on(3, FEBRUARY), 90_000_000)
    stripe.turn(FEBRUARY)
    theirs = stripes(stripe, tenant, FEBRUARY)
    assert theirs["total"] == invoice_of(tenant, FEBRUARY).total_cents
    assert not any("price changed" in line["description"] for line in theirs["lines"]["data"])


def test_usage_reversed_after_it_was_reported_is_taken_back_by_an_item(stripe):
    tenant = stripe.subscribe("scale")
    stripe.use(tenant, on(12), 60_000_000)
    stripe.use(tenant, on(13), 10_000_000)
    stripe.travel(on(14))
    stripe.report()
    with operator_session("test") as session:
        fact = session.scalars(select(UsageFact).where(UsageFact.quantity == 60_000_000)).one()
        reverse(session, STAFF, tenant.id, fact.id, "Sent twice by us")
        session.commit()
    stripe.turn(JANUARY)
    theirs = stripes(stripe, tenant)
    assert theirs["total"] == invoice_of(tenant, JANUARY).total_cents
    assert theirs["status"] == "open"


def test_credits_drawn_are_not_collected(stripe):
    tenant = stripe.subscribe("starter")
    with operator_session("test") as session:
        grant_credit(session, STAFF, tenant.id, CreditKind.PREPAID, 1_000, "USD", "Transfer 1", at=on(1))
        session.commit()
    stripe.turn(JANUARY)
    ours = invoice_of(tenant, JANUARY)
    assert ours.credits_cents == 1_000
    assert stripes(stripe, tenant)["total"] == ours.total_cents - 1_000
    stripe.travel(stripe.at + timedelta(hours=2))
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.PAID


def test_a_coupon_of_stripes_is_a_credit_on_our_invoice(stripe):
    tenant = stripe.subscribe("starter")
    coupon = stripe.client.post("/v1/coupons", {"percent_off": 10, "duration": "forever"}, key="coupon")
    subscription = customer_of(tenant.id).subscription_id
    stripe.client.post(
        f"/v1/subscriptions/{subscription}", {"discounts": [{"coupon": coupon["id"]}]}, key="discount"
    )
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(hours=2))
    ours, theirs = invoice_of(tenant, JANUARY), stripes(stripe, tenant)
    assert ours.credits_cents == ours.total_cents - theirs["amount_paid"] > 0
    assert ours.status is InvoiceStatus.PAID


def test_stripes_tax_is_our_invoices(stripe, monkeypatch):
    monkeypatch.setenv("STRIPE_AUTOMATIC_TAX", "true")
    get_settings.cache_clear()
    stripe.fake.account.tax_basis_points = 1_900
    tenant = stripe.subscribe("starter")
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(hours=2))
    ours = invoice_of(tenant, JANUARY)
    assert ours.tax_cents == round(ours.total_cents * Decimal("0.19")) > 0
    assert stripes(stripe, tenant)["amount_paid"] == ours.total_cents + ours.tax_cents
    assert ours.status is InvoiceStatus.PAID


def test_a_month_of_nothing_leaves_nothing_at_stripe(stripe):
    tenant = stripe.subscribe("trial")
    stripe.turn(JANUARY)
    assert mirror_of(tenant, JANUARY).status == "paid"
    assert stripes(stripe, tenant)["total"] == 0


def test_what_is_taken_back_of_a_paid_month_becomes_credit_and_leaves_nothing_to_pay(stripe):
    tenant = stripe.subscribe("trial")
    stripe.use(tenant, on(20), 500_000_000)
    stripe.turn(JANUARY)
    with operator_session("test") as session:
        fact = session.scalars(select(UsageFact)).one()
        reverse(session, STAFF, tenant.id, fact.id, "Sent twice by us")
        session.commit()
    stripe.turn(FEBRUARY)
    ours, theirs = invoice_of(tenant, FEBRUARY), stripes(stripe, tenant, FEBRUARY)
    assert ours.total_cents < 0
    assert ours.status is InvoiceStatus.PAID
    assert (theirs["total"], theirs["status"]) == (0, "paid")
    with operator_session("test") as session:
        [credit] = list_credits(session, tenant.id)
    assert credit.balance_cents == -ours.total_cents


def test_comparing_a_draft_again_changes_nothing_at_stripe(stripe):
    tenant = stripe.subscribe("starter")
    stripe.use(tenant, on(20), 90_000_000)
    stripe.travel(JANUARY.end + timedelta(minutes=10))
    before = len(stripe.fake.account.events)
    for _ in range(3):
        stripe.travel(stripe.at + timedelta(days=1))
        stripe.advance()
    assert len(stripe.fake.account.events) == before
    assert stripes(stripe, tenant)["status"] == "draft"


def test_what_stripe_counted_and_we_did_not_report_holds_the_invoice_until_finance_accepts(stripe):
    tenant = stripe.subscribe("scale")
    stripe.use(tenant, on(20), 500_000_000)
    stripe.travel(on(22))
    stripe.report()
    payload = {"stripe_customer_id": customer_of(tenant.id).customer_id, "value": "100000000"}
    stripe.client.post(
        "/v1/billing/meter_events",
        {"event_name": "adaptary_prediction", "payload": payload, "timestamp": int(on(21).timestamp())},
        key="by hand",
    )
    stripe.turn(JANUARY)
    ours, row = invoice_of(tenant, JANUARY), mirror_of(tenant, JANUARY)
    assert (ours.status, ours.number) == (InvoiceStatus.DRAFT, None)
    assert row.status == "draft"
    assert row.held_reason == ours.held_reason
    assert "Prediction tokens" in (row.held_reason or "")
    assert differences(tenant).keys() == {"Prediction tokens"}
    with operator_session("test") as session:
        [held] = review.list_held(session)
    assert held.tenant.id == tenant.id

    assert review.recheck(stripe.client, STAFF, row.id, stripe.at).held_at is not None
    with pytest.raises(review.ReviewError, match="Say why"):
        review.accept(stripe.client, STAFF, row.id, " ", stripe.at)
    assert review.accept(stripe.client, STAFF, row.id, "An event by hand", stripe.at).held_at is None
    ours = invoice_of(tenant, JANUARY)
    assert ours.status is InvoiceStatus.OPEN
    assert stripes(stripe, tenant)["total"] == ours.total_cents


def test_an_item_that_somebody_added_at_stripe_holds_the_invoice(stripe):
    tenant = stripe.subscribe("starter")
    params = {
        "customer": customer_of(tenant.id).customer_id,
        "amount": 99,
        "currency": "usd",
        "description": "Consulting",
    }
    stripe.client.post("/v1/invoiceitems", params, key="by hand")
    stripe.turn(JANUARY)
    assert differences(tenant) == {"At Stripe only: Consulting": 99}
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.DRAFT


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("path", ["/v1/invoiceitems", "/v1/invoices"])
def test_a_draft_goes_on_after_a_failure(stripe, path, failure):
    tenant = stripe.subscribe("starter")
    stripe.use(tenant, on(20), 1_000)
    stripe.travel(JANUARY.end + timedelta(minutes=10))
    stripe.report()
    stripe.fake.failures.plan(failure, path, times=2)
    stripe.close(JANUARY)
    for _ in range(3):
        stripe.travel(stripe.at + timedelta(minutes=61))
        stripe.advance()
    ours, theirs = invoice_of(tenant, JANUARY), stripes(stripe, tenant)
    assert theirs["status"] == "paid"
    assert theirs["total"] == ours.total_cents
    assert ours.status is InvoiceStatus.PAID


def test_a_draft_waits_for_usage_that_stripe_has_not_counted_yet(stripe):
    tenant = stripe.subscribe("scale")
    stripe.use(tenant, on(20), 500_000_000)
    stripe.fake.account.holds_meter_events = True
    stripe.turn(JANUARY)
    assert mirror_of(tenant, JANUARY).held_at is None
    assert stripes(stripe, tenant)["status"] == "draft"
    stripe.fake.count_meter_events()
    stripe.advance()
    assert stripes(stripe, tenant)["status"] == "open"


def test_a_draft_whose_subscription_ended_can_be_paid_by_transfer(stripe):
    tenant = stripe.subscribe("starter")
    stripe.client.delete(f"/v1/subscriptions/{customer_of(tenant.id).subscription_id}")
    stripe.handle()
    assert customer_of(tenant.id).subscription_id is None
    stripe.turn(JANUARY)
    assert invoice_of(tenant, JANUARY).collection is Collection.BANK_TRANSFER
