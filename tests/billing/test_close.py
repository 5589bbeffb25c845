"""Closing a month: each tenant gets one invoice, with a number after the last one, whoever closes how often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from billing.close import CloseRefused, close_due, close_month, month_state, next_to_close, preview
from billing.invoices import lines_of
from core.db import operator_session
from core.models.audit import AuditEvent, StaffEvent
from core.models.billing import ClosedMonth, Invoice, InvoiceCounter, InvoiceStatus
from core.models.usage import UsageKind
from tests.billing.months import (
    APRIL,
    FEBRUARY,
    JANUARY,
    MARCH,
    STAFF,
    after,
    old_tenant,
    on,
    summary,
    use,
)


def numbers(invoices):
    return [invoice.number for invoice in invoices]


def test_a_closed_month_has_an_invoice_with_a_line_for_the_fee_and_each_kind(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    use(db, tenant, on(4), 2_000_000, UsageKind.TRAINING)
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert summary(lines_of(db, invoice)) == [
        ("Monthly fee, Starter", 1, 0, 2900),
        ("Prediction tokens, Starter", 11_000_000, 10_000_000, 30),
        ("Training tokens, Starter", 2_000_000, 2_000_000, 0),
    ]
    assert (invoice.status, invoice.total_cents, invoice.currency) == (InvoiceStatus.OPEN, 2930, "USD")
    assert (invoice.period_start, invoice.period_end) == (JANUARY.start, JANUARY.end)


def test_an_invoice_is_due_at_the_end_of_the_fourteenth_day(db):
    old_tenant(db, "starter")
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert invoice.due_at == datetime(2025, 2, 15, 23, 59, 59, 999999, tzinfo=UTC)


def test_a_tenant_without_fee_and_usage_gets_no_invoice(db):
    old_tenant(db, "trial")
    assert close_month(db, JANUARY, STAFF, at=after(JANUARY)) == []
    assert month_state(db, JANUARY).is_closed


def test_an_invoice_of_nothing_is_paid_at_once(db):
    use(db, old_tenant(db, "trial"), on(3), 10)
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert (invoice.status, invoice.total_cents) == (InvoiceStatus.PAID, 0)
    assert invoice.payment_reference == "Nothing to pay"


def test_closing_again_makes_nothing(db):
    old_tenant(db, "starter")
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert close_month(db, JANUARY, STAFF, at=after(JANUARY)) == []
    assert db.scalar(select(func.count(Invoice.id))) == 1


@pytest.mark.parametrize("month", [MARCH, APRIL])
def test_a_month_that_is_not_over_is_not_closed(db, month):
    old_tenant(db, "starter")
    with pytest.raises(CloseRefused, match="is not over: it can be closed from"):
        close_month(db, month, STAFF, at=on(3, MARCH))
    with pytest.raises(CloseRefused, match="April 2025 is not over"):
        close_month(db, APRIL, STAFF, early=True, at=on(3, MARCH))


def test_months_are_closed_in_their_order(db):
    old_tenant(db, "starter")
    assert next_to_close(db) == JANUARY
    with pytest.raises(CloseRefused, match="January 2025 is not closed yet"):
        close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert close_month(db, JANUARY.previous, STAFF, at=after(FEBRUARY)) == []
    close_month(db, JANUARY, STAFF, at=after(FEBRUARY))
    assert next_to_close(db) == FEBRUARY


def test_what_is_due_is_closed_up_to_the_running_month(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3, MARCH), 5)
    made = close_due(db, on(3, MARCH))
    assert [invoice.period_start for invoice in made] == [JANUARY.start, FEBRUARY.start]
    assert close_due(db, on(3, MARCH)) == []


def test_numbers_go_on_through_months_without_a_gap_and_start_anew_with_the_year(db):
    for _ in range(3):
        old_tenant(db, "starter", since=JANUARY.previous.start)
    december = JANUARY.previous
    made = [
        *close_month(db, december, STAFF, at=after(december)),
        *close_month(db, JANUARY, STAFF, at=after(JANUARY)),
    ]
    assert numbers(made) == [f"2025-{number:06d}" for number in range(1, 7)]
    for month in (FEBRUARY, MARCH):
        close_month(db, month, STAFF, at=after(month))
    (next_year, *_) = close_month(db, APRIL, STAFF, at=datetime(2026, 1, 2, tzinfo=UTC))
    assert next_year.number == "2026-000001"


def test_a_close_that_fails_takes_no_number(services):
    with operator_session("test") as session:
        old_tenant(session, "starter")
        session.commit()
        close_month(session, JANUARY, STAFF, at=after(JANUARY))
        session.rollback()
        (invoice,) = close_month(session, JANUARY, STAFF, at=after(JANUARY))
        session.commit()
    assert invoice.number == "2025-000001"


def test_of_many_that_close_a_month_at_once_one_makes_the_invoices(services):
    with operator_session("test") as session:
        for _ in range(3):
            old_tenant(session, "starter")
        session.commit()

    def close(_number):
        with operator_session("test") as session:
            made = close_month(session, JANUARY, STAFF, at=after(JANUARY))
            session.commit()
        return len(made)

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(close, range(6))) == [0, 0, 0, 0, 0, 3]
    with operator_session("test") as session:
        found = session.scalars(select(Invoice.number).order_by(Invoice.number)).all()
        assert found == ["2025-000001", "2025-000002", "2025-000003"]
        assert session.get_one(InvoiceCounter, 2025).last == 3


def test_usage_that_comes_late_is_on_the_next_invoice_which_says_so(db):
    tenant = old_tenant(db, "starter")
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    use(db, tenant, on(31), 12_000_000)
    (invoice,) = close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert summary(lines_of(db, invoice)) == [
        ("Monthly fee, Starter", 1, 0, 2900),
        ("Prediction tokens, Starter (January 2025)", 12_000_000, 10_000_000, 60),
    ]
    assert invoice.note == "Includes what was not yet invoiced of January 2025."


def test_an_early_invoice_leaves_the_month_open_and_its_rest_for_the_next(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    (early,) = close_month(db, JANUARY, STAFF, early=True, at=on(11))
    assert summary(lines_of(db, early)) == [
        ("Monthly fee, Starter (part of the month)", 1, 0, 935),
        ("Prediction tokens, Starter", 11_000_000, 10_000_000, 30),
    ]
    assert {line.ends_at for line in lines_of(db, early)} == {on(11)}
    assert not month_state(db, JANUARY).is_closed
    assert close_month(db, JANUARY, STAFF, early=True, at=on(12)) == []

    use(db, tenant, on(20), 1_000_000)
    assert close_month(db, JANUARY, STAFF, at=after(JANUARY)) == []
    (invoice,) = close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert summary(lines_of(db, invoice)) == [
        ("Monthly fee, Starter", 1, 0, 2900),
        ("Monthly fee, Starter (part of January 2025)", 1, 0, 1965),
        ("Prediction tokens, Starter (January 2025)", 1_000_000, 0, 30),
    ]


def test_the_preview_is_what_closing_makes_and_writes_nothing(db):
    for quantity in (11_000_000, 20_000_000):
        use(db, old_tenant(db, "starter"), on(3), quantity)
    drafts = preview(db, JANUARY, after(JANUARY))
    assert db.scalar(select(func.count(Invoice.id))) == 0
    invoices = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert [(draft.tenant.id, draft.bill.total_cents) for draft in drafts] == [
        (invoice.tenant_id, invoice.total_cents) for invoice in invoices
    ]
    assert preview(db, JANUARY) == []


def test_a_close_is_in_the_logs_of_operator_and_tenants(db):
    tenant = old_tenant(db, "starter")
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    event = db.scalars(select(AuditEvent).where(AuditEvent.tenant_id == tenant.id)).one()
    staff_event = db.scalars(select(StaffEvent)).one()
    assert (event.action, event.actor_label) == ("invoice.issued", "operator")
    assert (staff_event.action, staff_event.actor_label) == ("month.closed", STAFF.label)
    assert staff_event.detail == {"invoices": 1, "total_cents": 2900}
    assert db.get_one(ClosedMonth, JANUARY.days[0]).closed_by == STAFF.label


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE invoices SET total_cents = 0",
        "DELETE FROM invoices",
        "UPDATE invoice_lines SET amount_cents = 0",
        "DELETE FROM invoice_lines",
        "DELETE FROM closed_months",
    ],
)
def test_nobody_alters_what_is_invoiced(db, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        db.execute(text(statement))
