"""A tenant's invoices: listed, shown, downloaded, and nobody else's."""

import csv
import io
import re
from datetime import timedelta

import pytest

from billing.cancelling import void
from billing.close import close_month
from billing.credit_notes import issue_credit_note
from billing.payments import record_payment
from billing.periods import Month
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.billing import Invoice
from core.models.tenants import Tenant
from core.models.usage import UsageKind
from core.tenancy import Role
from tests.billing.months import STAFF, collect_with_stripe, pay, use

LAST = Month.containing(now()).previous


def invoiced(*people) -> list[Invoice]:
    """Last month's invoice of each: $0.40 for predictions, $2.00 for training."""
    for person in people:
        with tenant_session(person.scope) as session:
            tenant = session.get_one(Tenant, person.scope.tenant_id)
            use(session, tenant, LAST.start, 1_100_000)
            use(session, tenant, LAST.start, 1_500_000, UsageKind.TRAINING)
            session.commit()
    with operator_session("test") as session:
        made = {invoice.tenant_id: invoice for invoice in close_month(session, LAST, STAFF)}
        session.commit()
    return [made[person.scope.tenant_id] for person in people]


def page(person, path: str) -> str:
    response = person.client.get(path)
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def test_before_the_first_invoice_the_page_says_when_it_comes(admin):
    shown = page(admin, "/invoices")
    running = Month.containing(now())
    assert "No invoices yet" in shown
    assert f"The first one comes on {running.end:%-d %b %Y}, for {running.title}" in shown


def test_the_list_has_each_invoice_with_its_status(admin):
    (invoice,) = invoiced(admin)
    shown = page(admin, "/invoices")
    assert str(invoice.number) in shown
    assert "$2.40" in shown
    assert ">Open<" in shown


def test_an_invoice_shows_its_lines_their_sum_and_how_to_pay(admin):
    (invoice,) = invoiced(admin)
    shown = page(admin, f"/invoices/{invoice.id}")
    for text in (
        "Prediction tokens, Free trial",
        "1,100,000",
        "$0.40 per million",
        "Sum of 2 lines",
        "$2.40",
        "Pay by bank transfer",
        f">{invoice.number}</code>",
    ):
        assert text in shown


@pytest.mark.parametrize("change", ["paid", "void"])
def test_a_settled_invoice_asks_for_no_payment(admin, change):
    (invoice,) = invoiced(admin)
    with operator_session("test") as session:
        if change == "paid":
            pay(session, invoice, "Transfer 4711")
        else:
            void(session, STAFF, invoice.id, "<b>Wrong</b> company")
        session.commit()
    shown = page(admin, f"/invoices/{invoice.id}")
    assert "Pay by bank transfer" not in shown
    assert ("Transfer 4711" if change == "paid" else "Void: &lt;b&gt;Wrong&lt;/b&gt; company") in shown
    assert STAFF.label not in shown


def test_a_part_that_was_paid_and_a_credit_note_leave_less_to_pay(admin, other_admin):
    (invoice,) = invoiced(admin)
    with operator_session("test") as session:
        record_payment(session, STAFF, invoice.id, 100, "Transfer 4711")
        issue_credit_note(session, STAFF, invoice.id, 30, "Outage on 3 March")
        session.commit()
    shown = page(admin, f"/invoices/{invoice.id}")
    for text in ("Transfer 4711", "−$1.00", "Outage on 3 March", "−$0.30", "To pay", "$1.10"):
        assert text in shown
    assert STAFF.label not in shown
    (link,) = re.findall(r"/invoices/credit-notes/[^\"]+", shown)
    assert admin.client.get(link).data.startswith(b"%PDF-")
    assert other_admin.client.get(link).status_code == 404


def test_a_draft_is_not_shown_but_that_it_is_being_checked(admin):
    with operator_session("test") as session:
        tenant = session.get_one(Tenant, admin.scope.tenant_id)
        use(session, tenant, LAST.start, 1_100_000)
        collect_with_stripe(session, tenant, LAST)
        (draft,) = close_month(session, LAST, STAFF)
        session.commit()
    assert f"The invoice for {LAST.title} is being checked" in page(admin, "/invoices")
    for part in ("", "/invoice.pdf", "/lines.csv"):
        assert admin.client.get(f"/invoices/{draft.id}{part}").status_code == 404, part
    assert page(admin, f"/usage?month={LAST}")


def test_an_invoice_past_its_due_day_is_overdue(admin, monkeypatch):
    (invoice,) = invoiced(admin)
    assert invoice.due_at is not None
    next_day = invoice.due_at + timedelta(days=1)
    monkeypatch.setattr("billing.invoices.now", lambda: next_day)
    assert "Overdue" in page(admin, "/invoices")
    assert "Was due on" in page(admin, f"/invoices/{invoice.id}")


def test_the_pdf_is_named_for_the_invoice(admin):
    (invoice,) = invoiced(admin)
    response = admin.client.get(f"/invoices/{invoice.id}/invoice.pdf")
    assert response.content_type == "application/pdf"
    assert response.headers["Content-Disposition"] == f'attachment; filename="invoice-{invoice.number}.pdf"'
    assert response.data.startswith(b"%PDF-")


def test_the_csv_has_the_lines(admin):
    (invoice,) = invoiced(admin)
    response = admin.client.get(f"/invoices/{invoice.id}/lines.csv")
    assert response.headers["Content-Disposition"] == f'attachment; filename="invoice-{invoice.number}.csv"'
    rows = list(csv.DictReader(io.StringIO(response.data.decode("utf-8-sig"))))
    assert sum(int(row["amount_cents"]) for row in rows) == invoice.total_cents == 240


def test_another_tenants_invoice_is_not_found(admin, other_admin):
    _own, others = invoiced(admin, other_admin)
    for part in ("", "/invoice.pdf", "/lines.csv"):
        assert admin.client.get(f"/invoices/{others.id}{part}").status_code == 404, part
    assert str(others.number) not in page(admin, "/invoices")


def test_a_developer_does_not_see_invoices_and_finance_does(member):
    assert member(Role.FINANCE).client.get("/invoices").status_code == 200
    assert member(Role.DEVELOPER).client.get("/invoices").status_code == 403
