"""Invoices that are taken back or given up: what is owed then, and what may still happen to them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from billing import invoices
from billing.cancelling import mark_uncollectible, void
from billing.close import close_month
from billing.credit_notes import issue_credit_note
from billing.invoices import InvoiceStateError
from billing.payments import record_payment
from core.db import operator_session
from core.models.billing import Invoice, InvoiceStatus
from tests.billing.months import FEBRUARY, JANUARY, STAFF, after, draft_of, old_tenant, on, pay, use


@pytest.fixture
def invoice(db) -> Invoice:
    old_tenant(db, "starter")
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


@pytest.mark.parametrize("first", ["paid", "void"])
def test_a_paid_or_void_invoice_is_not_cancelled(db, invoice, first):
    if first == "paid":
        pay(db, invoice)
    else:
        void(db, STAFF, invoice.id, "Wrong")
    with pytest.raises(InvoiceStateError, match=f"2025-000001 is {first}: only one that is draft or open"):
        void(db, STAFF, invoice.id, "Again")
    with pytest.raises(InvoiceStateError, match=f"2025-000001 is {first}: only one that is open"):
        mark_uncollectible(db, STAFF, invoice.id, "Again")


def test_of_two_that_change_an_invoice_at_once_one_does(services):
    with operator_session("test") as session:
        old_tenant(session, "starter")
        (invoice,) = close_month(session, JANUARY, STAFF, at=after(JANUARY))
        session.commit()

    def change(number: int) -> bool:
        with operator_session("test") as session:
            try:
                if number % 2:
                    record_payment(session, STAFF, invoice.id, 2900, f"Transfer {number}")
                else:
                    void(session, STAFF, invoice.id, f"Reason {number}")
                session.commit()
            except InvoiceStateError:
                return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(change, range(6))) == 1


def test_a_void_invoice_is_not_owed_and_its_usage_not_invoiced_again(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    voided = void(db, STAFF, made.id, " Sent to the wrong company ")
    assert voided.status is InvoiceStatus.VOID
    assert voided.voided_at is not None
    assert voided.note == "Void: Sent to the wrong company"
    assert invoices.to_pay_cents(db, voided) == 0
    (following,) = close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert following.total_cents == 2900


def test_voiding_and_giving_up_want_a_reason(db, invoice):
    for change in (void, mark_uncollectible):
        with pytest.raises(InvoiceStateError, match="Say why"):
            change(db, STAFF, invoice.id, " \n")


def test_what_was_paid_or_credited_in_part_is_not_voided(db, invoice):
    record_payment(db, STAFF, invoice.id, 100, "4711")
    with pytest.raises(InvoiceStateError, match="It has a payment or a credit note"):
        void(db, STAFF, invoice.id, "Wrong")


def test_what_has_a_credit_note_is_not_voided(db, invoice):
    issue_credit_note(db, STAFF, invoice.id, 100, "Outage")
    with pytest.raises(InvoiceStateError, match="It has a payment or a credit note"):
        void(db, STAFF, invoice.id, "Wrong")


def test_a_void_draft_has_a_number_to_be_named_by(db):
    draft = draft_of(db, old_tenant(db, "starter"))
    voided = void(db, STAFF, draft.id, "Never used")
    assert (voided.status, voided.paid_at) == (InvoiceStatus.VOID, None)
    assert str(voided.number).endswith("-000001")


def test_a_given_up_invoice_is_still_owed_but_not_overdue(db, invoice):
    given_up = mark_uncollectible(db, STAFF, invoice.id, "Insolvent")
    assert (given_up.status, invoices.to_pay_cents(db, given_up)) == (InvoiceStatus.UNCOLLECTIBLE, 2900)
    assert not invoices.is_overdue(given_up)
    (total,) = invoices.totals(db, [given_up])
    assert (total.open_cents, total.uncollectible_cents) == (0, 2900)
