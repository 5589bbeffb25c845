"""The operator's pages about Stripe: the held queue, the outbox and the inbox, with and without a key."""

import csv
import io

import pytest
from sqlalchemy import select

from billing.stripe.client import stripe_client
from core.db import operator_session
from core.models.billing import InvoiceStatus
from core.models.stripe import ReportStatus, StripeEvent, UsageReport
from core.tenancy import StaffRole
from tests.billing.months import JANUARY, draft_of, old_tenant, on
from tests.billing.stripe.collecting import begin, customer_of, invoice_of, mirror_of
from tests.world import build_world

HELD = "/operator/reconciliation"


@pytest.fixture
def finance(staff):
    return staff(StaffRole.FINANCE).client


@pytest.fixture
def stripe(services, fake_stripe):
    client = stripe_client()
    assert client is not None
    return begin(fake_stripe, client, on(10))


def page(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(response.get_data(as_text=True).split())


def follow(client, path: str, **data: str) -> str:
    response = client.post(path, data=data, follow_redirects=True)
    return " ".join(response.get_data(as_text=True).split())


@pytest.fixture
def held(stripe):
    """Of whom Stripe counted 100,000,000 tokens that nobody reported, so that January is held."""
    tenant = stripe.subscribe("scale")
    stripe.use(tenant, on(20), 500_000_000)
    stripe.travel(on(22))
    stripe.report()
    payload = {"stripe_customer_id": customer_of(tenant.id).customer_id, "value": "100000000"}
    event = {"event_name": "adaptary_prediction", "payload": payload, "timestamp": int(on(21).timestamp())}
    stripe.client.post("/v1/billing/meter_events", event, key="by hand")
    stripe.turn(JANUARY)
    return tenant


def test_what_agrees_to_the_cent_is_said_to(finance, stripe):
    stripe.subscribe("starter")
    stripe.turn(JANUARY)
    shown = page(finance, f"{HELD}?month={JANUARY}")
    assert "Every compared invoice is the same at Stripe and in the ledger" in shown
    assert "Held invoices" not in shown


def test_what_differs_is_held_and_shown_line_by_line_with_the_cents(finance, held):
    row = mirror_of(held, JANUARY)
    shown = page(finance, f"{HELD}?month={JANUARY}")
    assert "Held invoices" in shown
    assert "1 of 1 compared invoices differ." in shown
    lines = page(finance, f"{HELD}/{row.id}")
    for text in ("Held since", "Prediction tokens", "Accept the difference"):
        assert text in lines
    found = finance.get(f"{HELD}/reconciliation.csv?month={JANUARY}").data.decode("utf-8-sig")
    differs = {one["line"]: int(one["difference_cents"]) for one in csv.DictReader(io.StringIO(found))}
    assert differs["Prediction tokens"] > 0
    assert differs["Monthly fee, Scale"] == 0


def test_a_held_invoice_is_checked_again_and_accepted_with_a_reason(finance, held):
    path = f"{HELD}/{mirror_of(held, JANUARY).id}"
    assert "It still differs, and stays held." in follow(finance, f"{path}/recheck")
    assert "Say why the difference is right." in follow(finance, f"{path}/accept", reason=" ")
    assert invoice_of(held, JANUARY).status is InvoiceStatus.DRAFT
    assert "The difference is accepted." in follow(finance, f"{path}/accept", reason="An event by hand")
    assert invoice_of(held, JANUARY).status is InvoiceStatus.OPEN
    assert "It is not held any more." in follow(finance, f"{path}/accept", reason="Again")
    assert "An event by hand" in page(finance, "/operator/money-log")


def test_stripe_not_answering_changes_nothing_and_is_said(finance, held):
    row = mirror_of(held, JANUARY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "portal.views.operator.reconciliation.get_stripe_client", lambda: stripe_client_that_fails()
        )
        told = follow(finance, f"{HELD}/{row.id}/recheck")
    assert "Stripe did not answer." in told


def stripe_client_that_fails():
    from billing.stripe.client import StripeUnavailable

    raise StripeUnavailable("Stripe did not answer.")


def test_a_draft_that_stripe_has_no_invoice_for_is_paid_by_transfer(finance, services):
    with operator_session("test") as session:
        draft = draft_of(session, old_tenant(session, "starter"))
        session.commit()
    assert "Drafts that Stripe has no invoice for" in page(finance, HELD)
    assert "to be paid by bank transfer" in follow(finance, f"{HELD}/drafts/{draft.id}/by-transfer")
    assert "Stripe has an invoice for it" in follow(finance, f"{HELD}/drafts/{draft.id}/by-transfer")
    assert finance.post(f"{HELD}/drafts/{draft.tenant_id}/by-transfer").status_code == 404


@pytest.fixture
def world(admin):
    """A report that Stripe rejected, and an event that was given up, among the rest."""
    return build_world(admin.scope).arguments


def test_without_a_key_each_page_says_so_and_nothing_is_asked_of_stripe(finance, world):
    paths = (
        HELD,
        f"{HELD}/{world['stripe_invoice_id']}",
        "/operator/stripe/outbox",
        "/operator/stripe/inbox",
    )
    for path in paths:
        assert "Stripe is not set up here" in page(finance, path), path
    told = follow(finance, f"{HELD}/{world['stripe_invoice_id']}/recheck")
    assert "There is no STRIPE_SECRET_KEY." in told


def test_a_rejected_report_is_reported_again(finance, world):
    shown = page(finance, "/operator/stripe/outbox?status=rejected")
    assert "no_meter_found" in shown
    path = f"/operator/stripe/outbox/{world['report_id']}"
    assert "It is reported again" in follow(finance, f"{path}/retry")
    with operator_session("test") as session:
        assert session.scalars(select(UsageReport)).one().status is ReportStatus.PENDING
    assert "only a rejected one can change" in follow(finance, f"{path}/give-up")
    assert "No report is rejected" in page(finance, "/operator/stripe/outbox?status=rejected")


def test_a_rejected_report_can_be_left_to_the_invoice(finance, world):
    told = follow(finance, f"/operator/stripe/outbox/{world['report_id']}/give-up")
    assert "An item on the month" in told
    with operator_session("test") as session:
        assert session.scalars(select(UsageReport)).one().status is ReportStatus.ADJUSTED


def test_an_event_that_was_given_up_is_tried_again(finance, world):
    shown = page(finance, "/operator/stripe/inbox?status=unhandled")
    assert "Given up" in shown
    assert "Stripe did not answer." in shown
    path = f"/operator/stripe/inbox/{world['event_id']}/retry"
    assert "It is handled within a minute." in follow(finance, path)
    with operator_session("test") as session:
        event = session.scalars(select(StripeEvent)).one()
        assert (event.attempts, event.due_at is None) == (0, False)
        event.handled_at, event.due_at = event.due_at, None
        session.commit()
    assert "The event was handled already." in follow(finance, path)


def test_what_is_not_there_is_not_found(finance, world):
    other = world["tenant_id"]
    assert finance.get(f"{HELD}/{other}").status_code == 404
    for path in (
        f"{HELD}/{other}/recheck",
        f"{HELD}/{other}/accept",
        f"/operator/stripe/outbox/{other}/retry",
        f"/operator/stripe/outbox/{other}/give-up",
        f"/operator/stripe/inbox/{other}/retry",
    ):
        assert finance.post(path).status_code == 404, path
    assert finance.get("/operator/stripe/outbox?status=x").status_code == 404
