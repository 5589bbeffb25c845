"""What is done to an invoice here is done at Stripe, too."""

from datetime import timedelta

import pytest

from billing.cancelling import mark_uncollectible, void
from billing.credit_notes import Remedy, issue_credit_note
from billing.payments import record_payment
from billing.stripe import pushing
from core.db import operator_session
from core.models.billing import InvoiceStatus
from tests.billing.months import JANUARY, STAFF
from tests.billing.stripe.collecting import invoice_of, mirror_of
from tests.fake_stripe.failures import Failure


@pytest.fixture
def tenant(stripe):
    """One whose invoice for January is open, and whose card is refused."""
    tenant = stripe.subscribe("starter")
    stripe.give_card(tenant, "pm_card_chargeCustomerFail")
    stripe.turn(JANUARY)
    stripe.travel(stripe.at + timedelta(hours=2))
    assert mirror_of(tenant, JANUARY).payment_failed_at is not None
    return tenant


def push(stripe):
    pushing.push_all(stripe.client, stripe.at)
    stripe.handle()


def stripes(stripe, tenant):
    return stripe.client.get(f"/v1/invoices/{mirror_of(tenant, JANUARY).stripe_invoice_id}")


def test_a_bank_transfer_ends_the_attempts_at_the_card(stripe, tenant):
    invoice = invoice_of(tenant, JANUARY)
    with operator_session("test") as session:
        record_payment(session, STAFF, invoice.id, invoice.total_cents, "Transfer 7", stripe.at)
        session.commit()
    push(stripe)
    assert stripes(stripe, tenant)["amount_paid_off_stripe"] == invoice.total_cents
    row = mirror_of(tenant, JANUARY)
    assert (row.status, row.payment_failed_at) == ("paid", None)


@pytest.mark.parametrize("failure", [None, *Failure])
def test_a_credit_note_is_made_once_and_leaves_less_to_pay(stripe, tenant, failure):
    invoice = invoice_of(tenant, JANUARY)
    with operator_session("test") as session:
        issue_credit_note(session, STAFF, invoice.id, 500, "An outage", at=stripe.at)
        session.commit()
    if failure is not None:
        stripe.fake.failures.plan(failure, "/v1/credit_notes")
        push(stripe)
        stripe.travel(stripe.at + timedelta(hours=1))
    push(stripe)
    push(stripe)
    [note] = stripe.client.each("/v1/credit_notes", {"invoice": stripes(stripe, tenant)["id"]})
    assert note["amount"] == 500
    assert stripes(stripe, tenant)["amount_remaining"] == invoice.total_cents - 500

    stripe.give_card(tenant, "pm_card_visa")
    stripe.travel(stripe.at + timedelta(days=4))
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.PAID


def test_a_credit_note_for_a_paid_invoice_is_paid_back_to_the_card(stripe, tenant):
    stripe.give_card(tenant, "pm_card_visa")
    stripe.travel(stripe.at + timedelta(days=4))
    invoice = invoice_of(tenant, JANUARY)
    with operator_session("test") as session:
        issue_credit_note(session, STAFF, invoice.id, 300, "An outage", Remedy.REFUND, at=stripe.at)
        issue_credit_note(session, STAFF, invoice.id, 200, "Another", Remedy.CREDIT, at=stripe.at)
        session.commit()
    push(stripe)
    [refund] = stripe.client.each("/v1/refunds")
    assert refund["amount"] == 300
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.PAID


@pytest.mark.parametrize(("change", "status"), [(void, "void"), (mark_uncollectible, "uncollectible")])
def test_an_invoice_that_is_taken_back_or_given_up_is_so_at_stripe(stripe, tenant, change, status):
    with operator_session("test") as session:
        change(session, STAFF, invoice_of(tenant, JANUARY).id, "It was ours to pay")
        session.commit()
    push(stripe)
    assert stripes(stripe, tenant)["status"] == status
    assert mirror_of(tenant, JANUARY).status == status


def test_what_is_taken_back_at_stripe_is_so_here(stripe, tenant):
    stripe.client.post(f"/v1/invoices/{mirror_of(tenant, JANUARY).stripe_invoice_id}/void", key="by hand")
    stripe.handle()
    assert invoice_of(tenant, JANUARY).status is InvoiceStatus.VOID
