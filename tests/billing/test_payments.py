"""Money that comes for invoices: all of it or a part, once, however often it is recorded."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from billing import standing
from billing.cancelling import mark_uncollectible, void
from billing.close import close_month
from billing.invoices import InvoiceNotFound, InvoiceStateError, to_pay_cents
from billing.payments import (
    BankTransfer,
    collects_with_stripe,
    list_payments,
    payment_provider,
    record_payment,
)
from core.clock import now
from core.db import operator_session
from core.models.audit import AuditEvent, StaffEvent
from core.models.billing import Collection, Invoice, InvoiceStatus
from core.models.stripe import StripeCustomer
from core.models.tenants import Tenant
from tests.billing.months import FEBRUARY, JANUARY, MARCH, STAFF, after, old_tenant, on, pay


@pytest.fixture
def invoice(db) -> Invoice:
    """One of $29."""
    old_tenant(db, "starter")
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


def test_an_open_invoice_is_paid_with_reference_and_date(db, invoice):
    paid = record_payment(db, STAFF, invoice.id, 2900, "  Transfer 4711 ", on(3, FEBRUARY))
    assert (paid.status, paid.payment_reference) == (InvoiceStatus.PAID, "Transfer 4711")
    assert (paid.paid_at, paid.marked_by) == (on(3, FEBRUARY), STAFF.label)
    assert to_pay_cents(db, paid) == 0


def test_a_part_leaves_the_invoice_open_until_the_rest_has_come(db, invoice):
    part = record_payment(db, STAFF, invoice.id, 900, "first", on(3, FEBRUARY))
    assert (part.status, to_pay_cents(db, part)) == (InvoiceStatus.OPEN, 2000)
    whole = record_payment(db, STAFF, invoice.id, 2000, "second", on(4, FEBRUARY))
    assert (whole.status, whole.paid_at) == (InvoiceStatus.PAID, on(4, FEBRUARY))
    assert [payment.amount_cents for payment in list_payments(db, invoice)] == [900, 2000]


@pytest.mark.parametrize(
    ("amount", "reference", "paid_at", "reason"),
    [
        (2900, " ", None, "Give the payment's reference"),
        (2900, "x" * 121, None, "in 1 to 120 characters"),
        (2900, "ok", now() + timedelta(days=1), "cannot be dated in the future"),
        (2900, "ok", on(31, JANUARY), "cannot be paid before 2025-02-01, when it was issued"),
        (0, "ok", None, "at least one cent"),
        (-1, "ok", None, "at least one cent"),
        (2901, "ok", None, r"No more than \$29.00 is left to pay"),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused(db, invoice, amount, reference, paid_at, reason):
    with pytest.raises(InvoiceStateError, match=reason):
        record_payment(db, STAFF, invoice.id, amount, reference, paid_at)
    assert invoice.status is InvoiceStatus.OPEN
    assert list_payments(db, invoice) == []


def test_a_payment_on_the_day_of_issue_is_taken_though_its_hour_is_earlier(db, invoice):
    assert pay(db, invoice, at=FEBRUARY.start).status is InvoiceStatus.PAID


@pytest.mark.parametrize("amount", [900, 2900])
def test_recording_a_payment_again_does_nothing(db, invoice, amount):
    for _ in range(2):
        record_payment(db, STAFF, invoice.id, amount, "ch_1", collection=Collection.STRIPE)
    (payment,) = list_payments(db, invoice)
    assert (payment.amount_cents, payment.collection) == (amount, Collection.STRIPE)


def test_another_amount_with_a_payments_reference_is_refused(db, invoice):
    record_payment(db, STAFF, invoice.id, 900, "4711")
    with pytest.raises(
        InvoiceStateError, match=r"A payment of \$9.00 with this reference is recorded already"
    ):
        record_payment(db, STAFF, invoice.id, 901, "4711")


def test_nothing_is_paid_for_a_void_invoice(db, invoice):
    void(db, STAFF, invoice.id, "Wrong")
    with pytest.raises(InvoiceStateError, match="is void: only one that is open or uncollectible can change"):
        record_payment(db, STAFF, invoice.id, 2900, "4711")


def test_an_invoice_that_was_given_up_can_still_be_paid(db, invoice):
    mark_uncollectible(db, STAFF, invoice.id, "Insolvent")
    assert record_payment(db, STAFF, invoice.id, 900, "1").status is InvoiceStatus.UNCOLLECTIBLE
    assert record_payment(db, STAFF, invoice.id, 2000, "2").status is InvoiceStatus.PAID


def test_of_many_that_record_what_is_left_at_once_one_does(services):
    with operator_session("test") as session:
        old_tenant(session, "starter")
        (invoice,) = close_month(session, JANUARY, STAFF, at=after(JANUARY))
        session.commit()

    def record(number: int) -> bool:
        with operator_session("test") as session:
            try:
                record_payment(session, STAFF, invoice.id, 2000, f"Transfer {number}")
                session.commit()
            except InvoiceStateError:
                return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(record, range(6))) == 1


def test_a_payment_is_in_both_logs_and_who_recorded_it_in_the_operators_alone(db, invoice):
    record_payment(db, STAFF, invoice.id, 1000, "4711")
    pay(db, invoice, "4712")
    events = db.scalars(select(AuditEvent).where(AuditEvent.action.startswith("invoice.paid"))).all()
    staff_events = db.scalars(select(StaffEvent).where(StaffEvent.action.startswith("invoice.paid"))).all()
    assert {event.action for event in events} == {"invoice.paid_in_part", "invoice.paid"}
    assert {(event.actor_label, event.detail["number"]) for event in events} == {("operator", "2025-000001")}
    assert {event.actor_label for event in staff_events} == {STAFF.label}


def test_a_payment_for_no_invoice_is_refused(db):
    with pytest.raises(InvoiceNotFound):
        record_payment(db, STAFF, uuid4(), 1, "4711")


@pytest.mark.parametrize(
    ("subscription", "since", "expected"),
    [
        ("sub_1", JANUARY.days[0], (True, True)),
        ("sub_1", FEBRUARY.days[0], (False, True)),
        ("sub_1", MARCH.days[0], (False, False)),
        ("sub_1", None, (False, False)),
        (None, JANUARY.days[0], (False, False)),
    ],
)
def test_stripe_collects_from_the_month_on_that_its_customer_says(
    db, subscription: str | None, since: date | None, expected
):
    tenant, other = old_tenant(db), old_tenant(db)
    db.add(
        StripeCustomer(
            tenant_id=tenant.id,
            customer_id="cus_1",
            subscription_id=subscription,
            collects_from=since,
            fetched_at=now(),
        )
    )
    db.flush()
    assert tuple(collects_with_stripe(db, tenant.id, month) for month in (JANUARY, FEBRUARY)) == expected
    assert not collects_with_stripe(db, other.id, FEBRUARY)


def test_bank_transfer_says_where_to_pay_and_what_to_write(db, invoice):
    told = BankTransfer("Adaptary Ltd", "DE02 1203 0000 0000 2020 51").instructions(invoice)
    assert dict(told.details)["Reference"] == "2025-000001"
    assert "Account" not in dict(BankTransfer("Adaptary Ltd", "").instructions(invoice).details)
    assert isinstance(payment_provider(), BankTransfer)


def test_a_tenant_that_was_suspended_is_let_in_with_the_payment(db, invoice):
    assert standing.refresh(db, invoice.tenant_id).suspended_at is not None
    record_payment(db, STAFF, invoice.id, 2000, "first")
    assert db.get_one(Tenant, invoice.tenant_id).payment_suspended_at is not None
    record_payment(db, STAFF, invoice.id, 900, "second")
    assert db.get_one(Tenant, invoice.tenant_id).payment_suspended_at is None


def test_a_tenant_that_was_suspended_is_let_in_when_its_invoice_is_void(db, invoice):
    standing.refresh(db, invoice.tenant_id)
    void(db, STAFF, invoice.id, "Wrong")
    assert db.get_one(Tenant, invoice.tenant_id).payment_suspended_at is None
