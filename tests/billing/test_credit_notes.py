"""Credit notes: less to pay first, then money back or credit, never more than was asked for."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from billing.cancelling import mark_uncollectible, void
from billing.close import close_month
from billing.credit_notes import Remedy, creditable_cents, issue_credit_note, list_credit_notes
from billing.credits import grant_credit, list_credits
from billing.invoices import InvoiceStateError, to_pay_cents
from billing.payments import list_payments, record_payment
from billing.settlement import settlement_of
from core.clock import now
from core.db import operator_session
from core.models.audit import StaffEvent
from core.models.billing import Invoice, InvoiceStatus
from core.models.credit_grants import CreditKind
from core.models.payments import CreditNote
from tests.billing.months import JANUARY, STAFF, after, old_tenant, on, pay


@pytest.fixture
def invoice(db) -> Invoice:
    """One of $29."""
    old_tenant(db, "starter")
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


def parts(note: CreditNote) -> tuple[int, int, int]:
    return note.due_cents, note.refund_cents, note.credit_cents


def test_it_takes_off_what_is_left_to_pay(db, invoice):
    note = issue_credit_note(db, STAFF, invoice.id, 900, " Outage ")
    assert (note.number, note.reason, parts(note)) == (f"CN-{now().year}-000001", "Outage", (900, 0, 0))
    assert (invoice.status, to_pay_cents(db, invoice)) == (InvoiceStatus.OPEN, 2000)


def test_one_for_all_that_is_left_settles_the_invoice(db, invoice):
    record_payment(db, STAFF, invoice.id, 900, "4711")
    note = issue_credit_note(db, STAFF, invoice.id, 2000, "Outage")
    assert (invoice.status, invoice.payment_reference) == (InvoiceStatus.PAID, note.number)


@pytest.mark.parametrize(
    ("remedy", "expected"), [(Remedy.REFUND, (2000, 400, 0)), (Remedy.CREDIT, (2000, 0, 400))]
)
def test_beyond_what_is_left_it_pays_back_or_gives_credit(db, invoice, remedy, expected):
    record_payment(db, STAFF, invoice.id, 900, "4711")
    note = issue_credit_note(db, STAFF, invoice.id, 2400, "Outage", remedy)
    assert parts(note) == expected
    assert (invoice.status, settlement_of(db, invoice).left_cents) == (InvoiceStatus.PAID, 0)


def test_a_refund_is_a_payment_back(db, invoice):
    pay(db, invoice)
    note = issue_credit_note(db, STAFF, invoice.id, 500, "Outage", Remedy.REFUND)
    assert [(one.amount_cents, one.reference) for one in list_payments(db, invoice)] == [
        (2900, "4711"),
        (-500, note.number),
    ]
    assert settlement_of(db, invoice).paid_cents == 2400


def test_credit_from_a_note_is_drawn_by_the_next_invoice(db, invoice):
    pay(db, invoice)
    issue_credit_note(db, STAFF, invoice.id, 500, "Outage", at=on(3, JANUARY.next))
    (credit,) = list_credits(db, invoice.tenant_id)
    assert (credit.grant.kind, credit.balance_cents) == (CreditKind.CREDIT_NOTE, 500)
    (following,) = close_month(db, JANUARY.next, STAFF, at=after(JANUARY.next))
    assert following.credits_cents == 500


def test_tax_can_be_credited_too(db, invoice):
    tenant = old_tenant(db, "starter", since=JANUARY.next.start)
    taxed = Invoice(
        tenant_id=tenant.id,
        number="T-1",
        status=InvoiceStatus.OPEN,
        plan_code="starter",
        currency="USD",
        period_start=JANUARY.start,
        period_end=JANUARY.end,
        total_cents=1000,
        tax_cents=190,
        issued_at=after(JANUARY),
    )
    db.add(taxed)
    db.flush()
    assert creditable_cents(db, taxed) == 1190
    issue_credit_note(db, STAFF, taxed.id, 1190, "Outage")
    assert taxed.status is InvoiceStatus.PAID


@pytest.mark.parametrize(
    ("amount", "reason", "message"),
    [
        (0, "Outage", "at least one cent"),
        (-1, "Outage", "at least one cent"),
        (2901, "Outage", r"more than the invoice asked for: \$29.00 is left"),
        (100, " ", "Say what the credit note is for"),
        (100, "x" * 301, "in 1 to 300 characters"),
    ],
)
def test_one_that_makes_no_sense_is_refused(db, invoice, amount, reason, message):
    with pytest.raises(InvoiceStateError, match=message):
        issue_credit_note(db, STAFF, invoice.id, amount, reason)
    assert list_credit_notes(db, invoice) == []


def test_notes_together_take_back_no_more_than_was_asked_for(db, invoice):
    issue_credit_note(db, STAFF, invoice.id, 2000, "Outage")
    with pytest.raises(InvoiceStateError, match=r"\$9.00 is left"):
        issue_credit_note(db, STAFF, invoice.id, 901, "Outage")


def test_no_more_is_paid_back_than_was_paid(db):
    tenant = old_tenant(db, "starter")
    grant_credit(db, STAFF, tenant.id, CreditKind.PROMOTION, 2500, "USD", "Welcome", at=on(1))
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    pay(db, invoice)
    with pytest.raises(InvoiceStateError, match=r"\$4.00 was paid, and no more can be paid back"):
        issue_credit_note(db, STAFF, invoice.id, 401, "Outage", Remedy.REFUND)


@pytest.mark.parametrize("change", [void, mark_uncollectible])
def test_a_void_or_given_up_invoice_gets_none(db, invoice, change):
    change(db, STAFF, invoice.id, "Wrong")
    with pytest.raises(InvoiceStateError, match="only one that is open or paid"):
        issue_credit_note(db, STAFF, invoice.id, 1, "Outage")


def test_it_is_in_the_log_with_its_number(db, invoice):
    note = issue_credit_note(db, STAFF, invoice.id, 900, "Outage")
    event = db.scalars(select(StaffEvent).where(StaffEvent.action == "invoice.credited")).one()
    assert (event.actor_label, event.detail["credit_note"]) == (STAFF.label, note.number)


@pytest.mark.parametrize("statement", ["UPDATE credit_notes SET amount_cents = 1", "DELETE FROM payments"])
def test_nobody_alters_a_note_or_a_payment(db, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        db.execute(text(statement))


def test_numbers_have_no_gap_and_the_sum_holds_though_many_issue_at_once(services):
    with operator_session("test") as session:
        old_tenant(session, "starter")
        (invoice,) = close_month(session, JANUARY, STAFF, at=after(JANUARY))
        session.commit()

    def credit(_number: int) -> None:
        with operator_session("test") as session:
            try:
                issue_credit_note(session, STAFF, invoice.id, 700, "Outage")
                session.commit()
            except InvoiceStateError:
                session.rollback()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(credit, range(8)))
    with operator_session("test") as session:
        notes = list_credit_notes(session, invoice)
        assert [note.number[-6:] for note in notes] == ["000001", "000002", "000003", "000004"]
        assert creditable_cents(session, invoice) == 100
