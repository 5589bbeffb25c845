"""The PDF of an invoice: whatever is on it is set as it is, on as many pages as it takes, always alike."""

import json
from dataclasses import replace
from typing import Any

import pytest
import typst

from billing import invoices
from billing.cancelling import void
from billing.close import close_month
from billing.credit_note_pdf import credit_note_data, credit_note_pdf
from billing.credit_notes import issue_credit_note, tax_in
from billing.invoice_pdf import TEMPLATE, invoice_data, invoice_pdf
from billing.payments import record_payment
from billing.settlement import settlement_of
from core.config import get_settings
from core.models.billing import InvoiceLine
from core.models.usage import UsageKind
from tests.billing.months import FEBRUARY, JANUARY, STAFF, after, old_tenant, on, pay, use

TRICKY = "#eval(\"1+1\") *bold* _x_ $y$ `z` = <a> @b \\ // /* ~ -- 'q' [c] {d} 100%"


@pytest.fixture
def tenant(db):
    return old_tenant(db, "starter")


@pytest.fixture
def invoice(db, tenant):
    use(db, tenant, on(3), 11_000_000)
    use(db, tenant, on(4), 6_000_000, UsageKind.TRAINING)
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


@pytest.fixture
def seller():
    return replace(
        get_settings(),
        seller_name="Adaptary Ltd",
        seller_address="1 Example Street\\n10115 Berlin",
        seller_bank_account="DE02 1203 0000 0000 2020 51",
    )


def ask(data, around: str, label: str) -> list[Any]:
    """The values of `label`'s metadata where the template is set between what `around` says."""
    source = around.replace("TEMPLATE", f'#include "{TEMPLATE.name}"').encode()
    inputs = {"invoice": json.dumps(data)}
    found = typst.query(source, f"<{label}>", field="value", root=str(TEMPLATE.parent), sys_inputs=inputs)  # type: ignore[type-var]
    values: list[Any] = json.loads(found)
    return values


def set_text(data) -> str:
    """The text of all that is set; what ran as code or was read as markup would not be in it."""
    return "".join(ask(data, "#show text: it => [#metadata(it.text) <set>#it]\nTEMPLATE", "set"))


def pages(data) -> int:
    counted = ask(data, "TEMPLATE\n#context [#metadata(counter(page).final().first()) <pages>]", "pages")
    return int(counted[0])


def test_an_invoice_is_a_pdf_and_always_the_same_one(db, tenant, invoice):
    lines = invoices.lines_of(db, invoice)
    first = invoice_pdf(invoice, lines, tenant, settlement_of(db, invoice))
    assert first.startswith(b"%PDF-")
    assert invoice_pdf(invoice, lines, tenant, settlement_of(db, invoice)) == first


def test_it_says_who_asks_whom_for_what(db, tenant, invoice, seller):
    data = invoice_data(invoice, invoices.lines_of(db, invoice), tenant, settlement_of(db, invoice), seller)
    assert data["seller"] == {"name": "Adaptary Ltd", "address": ["1 Example Street", "10115 Berlin"]}
    assert data["tenant"]["name"] == tenant.name
    assert dict(data["facts"])["Period"] == "1 Jan – 31 Jan 2025"
    assert data["lines"][1] == {
        "description": "Prediction tokens, Starter",
        "days": "1 Jan – 31 Jan 2025",
        "quantity": "11,000,000",
        "included": "10,000,000",
        "billable": "1,000,000",
        "unit_price": "$0.30 per million",
        "amount": "$0.30",
    }
    assert data["due"] == ("Amount due", "$30.80")
    assert dict(data["payment"]["details"]) == {
        "Payee": "Adaptary Ltd",
        "Account": "DE02 1203 0000 0000 2020 51",
        "Reference": "2025-000001",
    }


@pytest.mark.parametrize("field", ["tenant", "seller", "description", "note", "reference"])
def test_text_from_outside_is_set_as_it_is_and_never_run(db, tenant, invoice, seller, field):
    lines = invoices.lines_of(db, invoice)
    if field == "tenant":
        tenant.name = TRICKY
    elif field == "seller":
        seller = replace(seller, seller_name=TRICKY, seller_address=TRICKY)
    elif field == "description":
        lines = [InvoiceLine(**{**_values(lines[0]), "description": TRICKY})]
    elif field == "note":
        void(db, STAFF, invoice.id, TRICKY)
    else:
        pay(db, invoice, TRICKY)
    assert TRICKY in set_text(invoice_data(invoice, lines, tenant, settlement_of(db, invoice), seller))


def test_a_name_without_a_space_does_not_stop_it(db, tenant, invoice):
    tenant.name = "W" * 120
    assert invoice_pdf(
        invoice, invoices.lines_of(db, invoice), tenant, settlement_of(db, invoice)
    ).startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["", "\n", "日本語 العربية Ελλάδα", "\u202eabc\u0007", "🚀"])
def test_any_name_can_be_set(db, tenant, invoice, name):
    tenant.name = name
    assert invoice_pdf(
        invoice, invoices.lines_of(db, invoice), tenant, settlement_of(db, invoice)
    ).startswith(b"%PDF-")


def test_a_long_invoice_takes_several_pages_each_with_the_heads_of_the_columns(db, tenant, invoice, seller):
    lines = [*invoices.lines_of(db, invoice)] * 30
    data = invoice_data(invoice, lines, tenant, settlement_of(db, invoice), seller)
    assert pages(data) > 2
    assert pages({**data, "lines": data["lines"][:3]}) == 1


def test_a_paid_invoice_asks_for_nothing(db, tenant, invoice, seller):
    pay(db, invoice, "4711", on(3, FEBRUARY))
    data = invoice_data(invoice, invoices.lines_of(db, invoice), tenant, settlement_of(db, invoice), seller)
    assert data["stamp"] == {"bad": False, "title": "Paid on 3 Feb 2025", "text": "Reference: 4711"}
    assert data["due"] == ("Amount due", "$0.00")
    assert data["payment"] is None


def test_a_void_invoice_says_so_and_why(db, tenant, invoice, seller):
    void(db, STAFF, invoice.id, "Wrong company")
    data = invoice_data(invoice, invoices.lines_of(db, invoice), tenant, settlement_of(db, invoice), seller)
    assert data["stamp"]["text"] == "Do not pay this invoice."
    assert data["note"] == ["Void: Wrong company"]
    assert data["payment"] is None


def _values(line: InvoiceLine) -> dict[str, object]:
    return {column.key: getattr(line, column.key) for column in InvoiceLine.__table__.columns}


def test_a_credit_note_says_what_it_takes_back_of_which_invoice_and_why(db, tenant, invoice, seller):
    record_payment(db, STAFF, invoice.id, 2000, "4711")
    note = issue_credit_note(db, STAFF, invoice.id, 1500, TRICKY)
    data = credit_note_data(note, invoice, tenant, tax_in(db, note, invoice), seller)
    assert dict(data["facts"])["For invoice"] == "2025-000001"
    assert data["sums"] == [("No longer to pay", "$10.80"), ("Credit for the next invoices", "$4.20")]
    assert data["due"] == ("Credited", "$15.00")
    assert TRICKY in set_text(data)
    assert credit_note_pdf(note, invoice, tenant, 0).startswith(b"%PDF-")
