"""A tenant's standing: past due, suspended after the days of grace, and reinstated by the payment."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import standing
from billing.cancelling import mark_uncollectible, void
from billing.close import close_month
from billing.issuing import issue
from billing.payments import record_payment
from billing.plans import get_plan
from billing.standing import PaymentRequired
from core.models.billing import Invoice
from core.models.notifications import Notification
from core.models.stripe import StripeInvoice
from core.models.tenants import Tenant
from tests.billing.months import JANUARY, STAFF, after, draft_of, old_tenant, on, pay, use

GRACE = timedelta(days=7)


@pytest.fixture
def tenant(db) -> Tenant:
    """A tenant on a plan with a fee."""
    return old_tenant(db, "starter")


@pytest.fixture
def invoice(db, tenant) -> Invoice:
    """Its invoice of January, to be paid by bank transfer."""
    use(db, tenant, on(3), 1_000)
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return invoice


def events(db: Session, tenant: Tenant) -> list[str]:
    """What the tenant's people were told, in order."""
    rows = db.scalars(
        select(Notification).where(Notification.tenant_id == tenant.id).order_by(Notification.due_at)
    )
    return [row.event for row in rows]


def is_suspended(db: Session, tenant: Tenant) -> bool:
    try:
        standing.require_payment(db, tenant.id)
    except PaymentRequired:
        return True
    return False


def due(invoice: Invoice) -> datetime:
    assert invoice.due_at is not None
    return invoice.due_at


def test_nothing_is_missing_until_the_due_day_is_over(db, tenant, invoice):
    stands = standing.refresh(db, tenant.id, due(invoice))
    assert (stands.past_due_since, stands.suspended_at) == (None, None)


def test_from_the_due_day_to_the_end_of_grace_it_is_past_due_and_its_keys_work(db, tenant, invoice):
    stands = standing.refresh(db, tenant.id, due(invoice) + GRACE - timedelta(seconds=1))
    assert stands.past_due_since == due(invoice)
    assert stands.suspends_at == due(invoice) + GRACE
    assert not is_suspended(db, tenant)
    assert events(db, tenant) == ["payment.past_due"]


def test_after_the_days_of_grace_it_is_suspended_and_told_once(db, tenant, invoice):
    for hours in (0, 1, 2):
        standing.refresh(db, tenant.id, due(invoice) + GRACE + timedelta(hours=hours))
    assert is_suspended(db, tenant)
    assert tenant.payment_suspended_at == due(invoice) + GRACE
    assert events(db, tenant) == ["payment.suspended"]


def test_the_payment_reinstates_it(db, tenant, invoice):
    standing.refresh(db, tenant.id, due(invoice) + GRACE)
    pay(db, invoice)
    standing.refresh(db, tenant.id, due(invoice) + GRACE + timedelta(days=1))
    assert not is_suspended(db, tenant)
    assert tenant.past_due_since is None
    assert events(db, tenant) == ["payment.suspended", "payment.reinstated"]


def test_a_part_of_the_payment_does_not(db, tenant, invoice):
    standing.refresh(db, tenant.id, due(invoice) + GRACE)
    record_payment(db, STAFF, invoice.id, 1, "4711")
    standing.refresh(db, tenant.id, due(invoice) + GRACE)
    assert is_suspended(db, tenant)


def test_a_void_invoice_is_not_missing(db, tenant, invoice):
    void(db, STAFF, invoice.id, "Sent twice.")
    assert standing.refresh(db, tenant.id, due(invoice) + GRACE).past_due_since is None


def test_an_invoice_that_was_written_off_is(db, tenant, invoice):
    mark_uncollectible(db, STAFF, invoice.id, "It does not answer.")
    standing.refresh(db, tenant.id, due(invoice) + GRACE)
    assert is_suspended(db, tenant)


def test_a_payment_that_stripe_could_not_take_is_missing_since_then(db, tenant):
    invoice = draft_of(db, tenant)
    issue(db, invoice, after(JANUARY))
    failed_at = after(JANUARY) + timedelta(hours=5)
    mirror = StripeInvoice(
        tenant_id=tenant.id,
        stripe_invoice_id="in_1",
        invoice_id=invoice.id,
        status="open",
        currency="USD",
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        total_cents=invoice.total_cents,
        tax_cents=0,
        amount_due_cents=invoice.total_cents,
        amount_paid_cents=0,
        attempt_count=1,
        payment_failed_at=failed_at,
        fetched_at=failed_at,
    )
    db.add(mirror)
    assert standing.refresh(db, tenant.id, failed_at).past_due_since == failed_at
    mirror.payment_failed_at = None
    # Who has a card is asked by Stripe, whatever the invoice says of a due day.
    assert standing.refresh(db, tenant.id, failed_at + timedelta(days=60)).past_due_since is None


def test_a_longer_grace_lifts_the_suspension(db, tenant, invoice):
    standing.refresh(db, tenant.id, due(invoice) + GRACE)
    get_plan(db, "starter").grace_days = 30
    standing.refresh(db, tenant.id, due(invoice) + GRACE)
    assert not is_suspended(db, tenant)


def test_the_clock_finds_who_is_due_and_leaves_the_others(db, tenant, invoice):
    other = old_tenant(db)
    standing.refresh_due(db, due(invoice) + GRACE)
    assert is_suspended(db, tenant)
    assert not is_suspended(db, other)
