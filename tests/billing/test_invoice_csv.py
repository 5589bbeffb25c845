"""Invoices as CSV: exactly what is on them, and nothing that a spreadsheet would run."""

import csv
import io

import pytest

from billing import invoices
from billing.close import close_month
from billing.invoice_csv import invoice_csv, invoices_csv
from billing.invoices import InvoiceFilter
from billing.settlement import settlements
from core.models.billing import Invoice
from tests.billing.months import JANUARY, STAFF, after, old_tenant, on, pay, use


@pytest.fixture
def invoice(db) -> Invoice:
    old_tenant(db, "starter")
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


def test_the_csv_of_an_invoice_has_its_lines_exactly(db):
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    text = invoice_csv(made, invoices.lines_of(db, made), "=Evil()")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["amount_cents"] for row in rows] == ["2900", "30"]
    assert rows[1]["cents_per_unit"] == "0.00003"
    assert rows[1]["tenant"] == "'=Evil()"
    assert sum(int(row["amount_cents"]) for row in rows) == made.total_cents


def test_the_csv_of_all_invoices_has_each_with_its_tenant(db, invoice):
    pay(db, invoice, "+4711")
    found = invoices.list_all_invoices(db, InvoiceFilter())
    text = invoices_csv(found, settlements(db, [one for one, _ in found]))
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["invoice"], row["status"], row["total_cents"]) == ("2025-000001", "paid", "2900")
    assert (row["paid_cents"], row["to_pay_cents"], row["collection"]) == ("2900", "0", "bank_transfer")
    assert row["payment_reference"] == "'+4711"
    assert row["tenant_id"] == str(invoice.tenant_id)
