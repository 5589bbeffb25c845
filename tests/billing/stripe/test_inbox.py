"""Stripe's events: taken once, at once, from Stripe alone; whatever order they come in, the end is the same."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from billing.periods import Month
from billing.stripe import handlers, inbox, jobs
from billing.stripe.client import StripeUnavailable
from core.config import get_settings
from core.db import operator_session
from core.models.billing import InvoiceStatus
from core.models.payments import Payment
from core.models.stripe import StripeEvent
from core.queues import Queue, rq_queue
from tests.billing.months import STAFF
from tests.billing.stripe.collecting import invoice_of, mirror_of, unhandled
from tests.fake_stripe.events import notification
from tests.fake_stripe.fixtures import WEBHOOK_SECRET

PATH = "/webhooks/stripe"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "invoice.paid",
    "created": 1_700_000_000,
    "data": {"object": {"id": "in_1", "object": "invoice", "customer_email": "ada@tenant.example"}},
}
THIN = {
    "id": "evt_2",
    "object": "v2.core.event",
    "type": "v1.billing.meter.error_report_triggered",
    "created": "2026-05-27T10:00:00.000Z",
    "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"},
}


def write(event) -> tuple[bytes, str]:
    """An event's webhook, signed as Stripe signs."""
    import stripe

    body, at = json.dumps(event), int(time.time())
    return (
        body.encode(),
        f"t={at},v1={stripe.WebhookSignature._compute_signature(f'{at}.{body}', WEBHOOK_SECRET)}",
    )


def post(client, body, signature):
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    return client.post(PATH, data=body, headers=headers)


@pytest.fixture
def outside(fake_stripe, portal):
    """Whoever calls the portal from outside, with CSRF checks as they are in production."""
    portal.config["WTF_CSRF_ENABLED"] = True
    yield portal.test_client()
    portal.config["WTF_CSRF_ENABLED"] = False


def test_an_event_is_kept_once_and_rung_for_without_asking_stripe(outside, fake_stripe):
    for _ in range(3):
        assert post(outside, *write(EVENT)).status_code == 200
    with operator_session("test") as session:
        [kept] = session.scalars(select(StripeEvent))
    assert (kept.event_id, kept.type, kept.object_id) == ("evt_1", "invoice.paid", "in_1")
    [ring] = rq_queue(Queue.BILLING).jobs
    assert list(ring.args) == [str(kept.id)]
    assert fake_stripe.requests == []


def test_an_event_of_the_newer_form_is_kept_too(outside):
    assert post(outside, *write(THIN)).status_code == 200
    with operator_session("test") as session:
        [kept] = session.scalars(select(StripeEvent))
    assert (kept.type, kept.object_id) == (THIN["type"], "mtr_1")


@pytest.mark.parametrize("change", ["body", "signature", "none"])
def test_what_stripe_did_not_sign_is_refused(outside, change):
    body, signature = write(EVENT)
    if change == "body":
        body = body.replace(b"in_1", b"in_2")
    if change == "signature":
        signature = signature[:-4] + "0000"
    assert post(outside, body, "" if change == "none" else signature).status_code == 400
    assert unhandled() == []


@pytest.mark.parametrize(
    "event",
    [[], "text", {}, {**EVENT, "created": "today"}, {**EVENT, "created": None}, {**EVENT, "id": "e" * 300}],
)
def test_what_is_no_event_is_refused(outside, event):
    assert post(outside, *write(event)).status_code == 400


def test_a_body_that_is_too_large_is_refused(outside):
    assert post(outside, b" " * 300_000, "t=1,v1=0").status_code == 413


def test_without_a_secret_there_is_no_such_page(portal, client, monkeypatch):
    monkeypatch.delenv("STRIPE_WEBHOOK_SECRET", raising=False)
    get_settings.cache_clear()
    assert post(client, *write(EVENT)).status_code == 404


def test_an_event_that_fails_is_tried_again_later_and_shown(stripe, monkeypatch):
    def fail(*_arguments):
        raise StripeUnavailable("Stripe did not answer.")

    with operator_session("test") as session:
        row_id = inbox.receive(session, inbox.parse(EVENT), stripe.at)
        assert row_id is not None
        session.commit()
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "handle", fail)
        at = stripe.at
        for _ in range(inbox.ATTEMPTS):
            inbox.handle(stripe.client, row_id, at)
        [event] = unhandled()
    assert (event.attempts, event.due_at, event.error) == (inbox.ATTEMPTS, None, "Stripe did not answer.")
    with operator_session("test") as session:
        assert [one.id for one in inbox.list_events(session, only_unhandled=True)] == [row_id]
        inbox.retry(session, STAFF, row_id)
        session.commit()
    inbox.handle(stripe.client, row_id, at)
    assert unhandled() == []


def test_a_job_for_an_event_handles_it(stripe):
    tenant = stripe.subscribe()
    with operator_session("test") as session:
        session.execute(delete(StripeEvent))
        row_id = inbox.receive(session, inbox.parse({**EVENT, "type": "charge.succeeded"}))
        session.commit()
    jobs.handle_event(str(row_id))
    assert tenant
    assert unhandled() == []


@pytest.fixture
def story(stripe):
    """A tenant whose months follow each other, with what Stripe would have told of them and did not."""
    tenant = stripe.subscribe("starter")
    untold: list[dict[str, Any]] = []
    stripe.fake.listen(lambda event: untold.append(notification(event)))
    return stripe, tenant, untold


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_events_in_any_order_with_gaps_and_doubles_end_in_the_same_state(story, data):
    stripe, tenant, untold = story
    month = Month.containing(stripe.at)
    stripe.use(tenant, month.end - timedelta(days=5), 90_000_000)
    stripe.turn(month)
    del untold[:]
    stripe.is_told = False
    stripe.give_card(tenant, "pm_card_chargeCustomerFail")
    stripe.travel(stripe.at + timedelta(hours=2))
    stripe.give_card(tenant, "pm_card_visa")
    stripe.travel(stripe.at + timedelta(days=4))
    stripe.is_told = True
    about = [event for event in untold if event["type"] in handlers.WATCHED and "invoice." in event["type"]]
    assert {"invoice.payment_failed", "invoice.paid"} <= {event["type"] for event in about}

    which = st.integers(0, len(about) - 1)
    for index in data.draw(st.lists(which, min_size=1, max_size=2 * len(about))):
        stripe.receive(about[index])
        if data.draw(st.booleans()):
            stripe.handle()
    stripe.handle()
    invoice, row = invoice_of(tenant, month), mirror_of(tenant, month)
    assert (invoice.status, row.status) == (InvoiceStatus.PAID, "paid")
    assert (row.attempt_count, row.payment_failed_at, row.held_at) == (2, None, None)
    with operator_session("test") as session:
        [payment] = session.scalars(select(Payment).where(Payment.invoice_id == invoice.id))
    assert payment.amount_cents == invoice.total_cents
    assert unhandled() == []
