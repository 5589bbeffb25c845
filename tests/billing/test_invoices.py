"""Invoices once they are issued: who pays or voids them, how, and what the books say."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from billing import invoices
from billing.close import close_due, close_month
from billing.invoices import InvoiceFilter, InvoiceNotFound, InvoiceStateError
from billing.payments import BankTransfer, payment_provider
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent, StaffEvent
from core.models.billing import Invoice, InvoiceStatus
from core.tenancy import system_scope
from tests.billing.months import APRIL, FEBRUARY, JANUARY, MARCH, STAFF, after, old_tenant, on, use


@pytest.fixture
def invoice(db) -> Invoice:
    old_tenant(db, "starter")
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


def test_an_open_invoice_is_paid_with_reference_and_date(db, invoice):
    paid = invoices.mark_paid(db, STAFF, invoice.id, "  Transfer 4711 ", on(3, FEBRUARY))
    assert (paid.status, paid.payment_reference) == (InvoiceStatus.PAID, "Transfer 4711")
    assert (paid.paid_at, paid.marked_by) == (on(3, FEBRUARY), STAFF.label)


@pytest.mark.parametrize(
    ("reference", "paid_at", "reason"),
    [
        (" ", None, "Give the payment's reference"),
        ("x" * 121, None, "in 1 to 120 characters"),
        ("ok", now() + timedelta(days=1), "cannot be dated in the future"),
        ("ok", on(31, JANUARY), "cannot be paid before 2025-02-01, when it was issued"),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused(db, invoice, reference, paid_at, reason):
    with pytest.raises(InvoiceStateError, match=reason):
        invoices.mark_paid(db, STAFF, invoice.id, reference, paid_at)
    assert invoice.status is InvoiceStatus.OPEN


def test_a_payment_on_the_day_of_issue_is_taken_though_its_hour_is_earlier(db, invoice):
    assert invoices.mark_paid(db, STAFF, invoice.id, "4711", FEBRUARY.start).status is InvoiceStatus.PAID


@pytest.mark.parametrize("first", ["paid", "void"])
def test_a_paid_or_void_invoice_does_not_change_again(db, invoice, first):
    pay = lambda: invoices.mark_paid(db, STAFF, invoice.id, "4711")  # noqa: E731
    void = lambda: invoices.void(db, STAFF, invoice.id, "Wrong")  # noqa: E731
    (pay if first == "paid" else void)()
    for change in (pay, void):
        with pytest.raises(InvoiceStateError, match=f"2025-000001 is {first}: only an open one can change"):
            change()


def test_of_two_that_change_an_invoice_at_once_one_does(services):
    with operator_session("test") as session:
        old_tenant(session, "starter")
        (invoice,) = close_month(session, JANUARY, STAFF, at=after(JANUARY))
        session.commit()

    def change(number: int) -> bool:
        with operator_session("test") as session:
            try:
                if number % 2:
                    invoices.mark_paid(session, STAFF, invoice.id, f"Transfer {number}")
                else:
                    invoices.void(session, STAFF, invoice.id, f"Reason {number}")
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
    voided = invoices.void(db, STAFF, made.id, " Sent to the wrong company ")
    assert voided.status is InvoiceStatus.VOID
    assert voided.voided_at is not None
    assert voided.note == "Void: Sent to the wrong company"
    (total,) = invoices.totals([voided])
    assert (total.invoiced_cents, total.open_cents, total.void_cents) == (0, 0, 2930)
    (following,) = close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert following.total_cents == 2900


def test_voiding_wants_a_reason(db, invoice):
    with pytest.raises(InvoiceStateError, match="Say why"):
        invoices.void(db, STAFF, invoice.id, " \n")


def test_what_happens_to_an_invoice_is_in_both_logs_and_who_did_it_in_the_operators_alone(db, invoice):
    invoices.mark_paid(db, STAFF, invoice.id, "4711")
    event = db.scalars(select(AuditEvent).where(AuditEvent.action == "invoice.paid")).one()
    staff_event = db.scalars(select(StaffEvent).where(StaffEvent.action == "invoice.paid")).one()
    assert (event.actor_label, event.detail["number"]) == ("operator", "2025-000001")
    assert staff_event.actor_label == STAFF.label


def test_an_invoice_that_is_not_there_is_named(db):
    with pytest.raises(InvoiceNotFound):
        invoices.get_invoice(db, uuid4())
    with pytest.raises(InvoiceNotFound):
        invoices.mark_paid(db, STAFF, uuid4(), "4711")
    with pytest.raises(InvoiceNotFound, match="2025-000009"):
        invoices.get_invoice_by_number(db, "2025-000009")


def test_a_tenant_sees_its_own_invoices_only(services):
    with operator_session("test") as session:
        tenant, other = old_tenant(session, "starter"), old_tenant(session, "starter")
        made = {
            invoice.tenant_id: invoice for invoice in close_month(session, JANUARY, STAFF, at=after(JANUARY))
        }
        session.commit()
    with tenant_session(system_scope(tenant.id, "test")) as session:
        assert [one.number for one in invoices.list_invoices(session)] == [made[tenant.id].number]
        with pytest.raises(InvoiceNotFound):
            invoices.get_invoice(session, made[other.id].id)


def test_an_open_invoice_is_overdue_once_its_due_day_is_over(db, invoice):
    due = invoice.due_at
    assert not invoices.is_overdue(invoice, due)
    assert invoices.is_overdue(invoice, due + timedelta(microseconds=1))
    invoices.mark_paid(db, STAFF, invoice.id, "4711")
    assert not invoices.is_overdue(invoice, due + timedelta(days=1))


def test_the_filter_narrows_by_status_month_tenant_and_due_date(db):
    tenant, _other = old_tenant(db, "starter"), old_tenant(db, "scale")
    made = close_due(db, on(2, APRIL))
    invoices.mark_paid(db, STAFF, made[0].id, "4711")

    def found(**wanted):
        return {invoice.number for invoice, _ in invoices.list_all_invoices(db, InvoiceFilter(**wanted))}

    every = {invoice.number for invoice in made}
    assert found() == every
    assert found(status=InvoiceStatus.PAID) == {made[0].number}
    assert found(month=FEBRUARY) == {made[2].number, made[3].number}
    assert found(tenant_id=tenant.id) == {one.number for one in made if one.tenant_id == tenant.id}
    assert found(overdue_at=on(2, MARCH)) == set()  # all three months were invoiced in April
    assert found(overdue_at=on(20, APRIL)) == every - {made[0].number}
    assert found(status=InvoiceStatus.PAID, overdue_at=on(20, APRIL)) == set()


def test_totals_part_what_is_invoiced_into_paid_and_open(db):
    old_tenant(db, "starter")
    old_tenant(db, "scale", since=on(1))
    made = close_due(db, on(2, APRIL))
    invoices.mark_paid(db, STAFF, made[0].id, "4711")
    invoices.void(db, STAFF, made[1].id, "Wrong")
    (total,) = invoices.totals(made, on(20, APRIL))
    assert (total.currency, total.count) == ("USD", 6)
    assert total.invoiced_cents == 3 * 2900 + 2 * 29900
    assert total.paid_cents == 2900
    assert total.open_cents == total.overdue_cents == total.invoiced_cents - 2900
    assert total.void_cents == 29900


def test_every_invoice_is_the_sum_of_its_lines(db, invoice):
    assert invoices.find_unbalanced(db) == []
    db.add(
        Invoice(
            tenant_id=invoice.tenant_id,
            number="2025-000002",
            status=InvoiceStatus.OPEN,
            plan_code="starter",
            currency="USD",
            period_start=FEBRUARY.start,
            period_end=FEBRUARY.end,
            total_cents=1,
        )
    )
    db.flush()
    ((unbalanced, lines_cents),) = invoices.find_unbalanced(db)
    assert (unbalanced.number, lines_cents) == ("2025-000002", 0)


def test_the_csv_of_an_invoice_has_its_lines_exactly(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    text = invoices.invoice_csv(made, invoices.lines_of(db, made), "=Evil()")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["amount_cents"] for row in rows] == ["2900", "30"]
    assert rows[1]["cents_per_unit"] == "0.00003"
    assert rows[1]["tenant"] == "'=Evil()"
    assert sum(int(row["amount_cents"]) for row in rows) == made.total_cents


def test_the_csv_of_all_invoices_has_each_with_its_tenant(db, invoice):
    invoices.mark_paid(db, STAFF, invoice.id, "+4711")
    text = invoices.invoices_csv(invoices.list_all_invoices(db, InvoiceFilter()))
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["invoice"], row["status"], row["total_cents"]) == ("2025-000001", "paid", "2900")
    assert row["payment_reference"] == "'+4711"
    assert row["tenant_id"] == str(invoice.tenant_id)


def test_bank_transfer_says_where_to_pay_and_what_to_write(db, invoice):
    told = BankTransfer("Adaptary Ltd", "DE02 1203 0000 0000 2020 51").instructions(invoice)
    assert dict(told.details)["Reference"] == "2025-000001"
    assert "Account" not in dict(BankTransfer("Adaptary Ltd", "").instructions(invoice).details)
    assert isinstance(payment_provider(), BankTransfer)
