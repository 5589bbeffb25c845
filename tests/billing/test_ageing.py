"""Receivables by age: what is left to pay of open invoices, in the right column, to the cent."""

import csv
import io
from datetime import timedelta

import pytest

from billing.ageing import Age, age_of, by_tenant, days_overdue, in_total, list_receivables, receivables_csv
from billing.cancelling import mark_uncollectible, void
from billing.close import close_month
from billing.invoices import totals
from billing.payments import record_payment
from tests.billing.months import FEBRUARY, JANUARY, STAFF, after, old_tenant, pay


@pytest.mark.parametrize(
    ("days", "age"),
    [
        (0, Age.CURRENT),
        (1, Age.DAYS_1_30),
        (30, Age.DAYS_1_30),
        (31, Age.DAYS_31_60),
        (60, Age.DAYS_31_60),
        (61, Age.DAYS_61_90),
        (90, Age.DAYS_61_90),
        (91, Age.OVER_90),
        (4000, Age.OVER_90),
    ],
)
def test_each_day_belongs_to_one_age(days, age):
    assert age_of(days) is age


@pytest.fixture
def invoices(db):
    """Three tenants' invoices of January and February, of $29 each, of which one is void and one given up."""
    for _ in range(3):
        old_tenant(db, "starter")
    january = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    void(db, STAFF, january[2].id, "Wrong company")
    february = close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    mark_uncollectible(db, STAFF, february[2].id, "Insolvent")
    return january, february


def test_the_first_day_overdue_begins_when_the_due_day_is_over(invoices):
    invoice = invoices[0][0]
    due = invoice.due_at
    assert days_overdue(invoice, due) == 0
    assert days_overdue(invoice, due + timedelta(microseconds=1)) == 1
    assert days_overdue(invoice, due + timedelta(days=1)) == 1
    assert days_overdue(invoice, due + timedelta(days=30, microseconds=1)) == 31


def test_what_is_left_to_pay_stands_under_its_age_by_tenant_and_in_total(db, invoices):
    january, february = invoices
    record_payment(db, STAFF, january[0].id, 900, "a part")
    pay(db, february[1])
    at = february[0].due_at + timedelta(days=10)  # January's were due 28 days before
    rows = by_tenant(list_receivables(db, at))
    late, later = Age.DAYS_1_30, Age.DAYS_31_60
    found = {
        row.tenant and row.tenant.id: {age: cents for age, cents in row.cents.items() if cents}
        for row in rows
    }
    assert found == {january[0].tenant_id: {late: 2900, later: 2000}, january[1].tenant_id: {later: 2900}}
    [total] = in_total(list_receivables(db, at))
    assert (total.cents[late], total.cents[later], total.total_cents) == (2900, 4900, 7800)
    [listed] = totals(db, [*january, *february], at)
    assert total.total_cents == listed.open_cents
    assert total.total_cents - total.cents[Age.CURRENT] == listed.overdue_cents


def test_nothing_is_overdue_before_it_is_due(db, invoices):
    [total] = in_total(list_receivables(db, after(JANUARY)))
    assert total.cents[Age.CURRENT] == total.total_cents > 0


def test_the_csv_has_each_invoice_with_its_days(db, invoices):
    at = invoices[1][0].due_at + timedelta(days=100)
    rows = list(csv.DictReader(io.StringIO(receivables_csv(list_receivables(db, at)))))
    assert [row["age"] for row in rows] == ["over-90"] * 4
    assert sum(int(row["left_cents"]) for row in rows) == 4 * 2900
