"""Finding invoices, and what of them is paid, open and lost."""

from datetime import timedelta
from uuid import uuid4

import pytest

from billing import invoices
from billing.cancelling import mark_uncollectible, void
from billing.close import close_due, close_month
from billing.credit_notes import issue_credit_note
from billing.invoices import InvoiceFilter, InvoiceNotFound
from billing.payments import record_payment
from core.db import operator_session, tenant_session
from core.models.billing import Invoice, InvoiceStatus
from core.tenancy import system_scope
from tests.billing.months import APRIL, FEBRUARY, JANUARY, MARCH, STAFF, after, draft_of, old_tenant, on, pay


@pytest.fixture
def invoice(db) -> Invoice:
    old_tenant(db, "starter")
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


def test_an_invoice_that_is_not_there_is_named(db):
    with pytest.raises(InvoiceNotFound):
        invoices.get_invoice(db, uuid4())
    with pytest.raises(InvoiceNotFound):
        invoices.lock_invoice(db, uuid4())
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
    pay(db, invoice, "4711")
    assert not invoices.is_overdue(invoice, due + timedelta(days=1))


def test_the_filter_narrows_by_status_month_tenant_and_due_date(db):
    tenant, _other = old_tenant(db, "starter"), old_tenant(db, "scale")
    made = close_due(db, on(2, APRIL))
    pay(db, made[0], "4711")

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


def test_totals_part_what_is_invoiced_into_paid_credited_open_and_lost(db):
    old_tenant(db, "starter")
    old_tenant(db, "scale", since=on(1))
    made = close_due(db, on(2, APRIL))
    pay(db, made[0])
    void(db, STAFF, made[1].id, "Wrong")
    record_payment(db, STAFF, made[2].id, 1000, "part")
    issue_credit_note(db, STAFF, made[2].id, 300, "Outage")
    mark_uncollectible(db, STAFF, made[3].id, "Insolvent")
    (total,) = invoices.totals(db, made, on(20, APRIL))
    assert (total.currency, total.count) == ("USD", 6)
    assert total.invoiced_cents == 3 * 2900 + 2 * 29900
    assert (total.paid_cents, total.credited_cents) == (2900 + 1000, 300)
    assert (total.void_cents, total.uncollectible_cents) == (29900, 29900)
    assert total.open_cents == total.overdue_cents == 1600 + 2900 + 29900
    parts = total.paid_cents, total.credited_cents, total.open_cents, total.uncollectible_cents
    assert sum(parts) == total.invoiced_cents


def test_a_draft_is_in_no_total_and_its_tenant_hears_only_that_it_is_checked(services):
    with operator_session("test") as session:
        tenant = old_tenant(session, "starter")
        draft = draft_of(session, tenant)
        session.commit()
        assert invoices.totals(session, [draft]) == []
    with tenant_session(system_scope(tenant.id, "test")) as session:
        assert invoices.list_invoices(session) == []
        assert invoices.months_being_checked(session) == [JANUARY]


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
