"""Finance's queue: what is held, and how it leaves."""

from datetime import timedelta
from uuid import uuid4

import pytest

from billing.stripe import outbox, review
from billing.stripe.catalogue_sync import StripeType, get_stripe_id
from core.db import operator_session
from core.models.billing import Collection, InvoiceStatus
from core.models.stripe import ReportStatus
from core.models.usage import UsageKind
from tests.billing.months import JANUARY, STAFF, on
from tests.billing.stripe.collecting import customer_of, invoice_of, mirror_of, reports_of


def test_usage_that_stripe_rejected_holds_the_month_until_it_is_given_up(stripe):
    tenant = stripe.subscribe("scale")
    with operator_session("test") as session:
        meter = get_stripe_id(session, StripeType.METER, UsageKind.PREDICTION)
    stripe.client.post(f"/v1/billing/meters/{meter}/deactivate", key="off")
    stripe.use(tenant, on(20), 500_000_000)
    stripe.turn(JANUARY)
    stripe.advance()
    [report] = reports_of(tenant)
    row = mirror_of(tenant, JANUARY)
    assert report.status is ReportStatus.REJECTED
    assert "500,000,000 tokens are invoiced, and 0 accounted for" in (row.held_reason or "")

    with operator_session("test") as session:
        outbox.give_up(session, STAFF, report.id)
        session.commit()
    assert review.recheck(stripe.client, STAFF, row.id, stripe.at).held_at is None
    ours, row = invoice_of(tenant, JANUARY), mirror_of(tenant, JANUARY)
    assert (ours.status, row.status) == (InvoiceStatus.OPEN, "open")
    assert row.total_cents == ours.total_cents


def test_a_draft_that_stripe_has_no_invoice_for_is_paid_by_transfer(stripe):
    tenant = stripe.subscribe("starter")
    stripe.handle()
    stripe.is_told = False
    stripe.client.delete(f"/v1/subscriptions/{customer_of(tenant.id).subscription_id}")
    stripe.turn(JANUARY)
    with operator_session("test") as session:
        assert review.list_without_stripe(session, stripe.at) == []
        [(draft, owner)] = review.list_without_stripe(session, stripe.at + timedelta(days=3))
        assert owner.id == tenant.id
        issued = review.collect_by_transfer(session, STAFF, draft.id, stripe.at)
        session.commit()
    assert (issued.status, issued.collection) == (InvoiceStatus.OPEN, Collection.BANK_TRANSFER)


def test_what_stripe_has_an_invoice_for_is_not_paid_by_transfer(stripe):
    tenant = stripe.subscribe("starter")
    stripe.turn(JANUARY)
    with operator_session("test") as session, pytest.raises(review.ReviewError, match="settle it there"):
        review.collect_by_transfer(session, STAFF, invoice_of(tenant, JANUARY).id, stripe.at)


def test_only_what_is_held_can_be_reviewed(stripe):
    tenant = stripe.subscribe("starter")
    stripe.turn(JANUARY)
    for row_id in (mirror_of(tenant, JANUARY).id, uuid4()):
        with pytest.raises(review.NotHeld):
            review.recheck(stripe.client, STAFF, row_id, stripe.at)
