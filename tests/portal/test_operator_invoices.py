"""The operator's invoices: months closed, invoices collected, and the books shown to agree."""

import csv
import io
import re
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import func, select

from billing.periods import Month
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.billing import ClosedMonth, Invoice, InvoiceStatus
from core.models.tenants import Tenant
from core.tenancy import StaffRole
from portal import invoice_search
from tests.billing.months import use

RUNNING = Month.containing(now())
LAST = RUNNING.previous
PATH = "/operator/invoices"


@pytest.fixture
def finance(staff):
    return staff(StaffRole.FINANCE).client


def page(client, path: str = PATH) -> str:
    response = client.get(path)
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def used(person, at, quantity) -> None:
    with tenant_session(person.scope) as session:
        use(session, session.get_one(Tenant, person.scope.tenant_id), at, quantity)
        session.commit()


def close(client, month=LAST, early: bool = False):
    return client.post(f"{PATH}/month/{'invoice-now' if early else 'close'}", data={"month": str(month)})


def all_invoices() -> list[Invoice]:
    with operator_session("test") as session:
        return list(session.scalars(select(Invoice).order_by(Invoice.number)))


@pytest.fixture
def invoice(finance, admin) -> Invoice:
    """Last month's invoice of `admin`'s tenant, of $0.40."""
    used(admin, LAST.start, 1_100_000)
    assert close(finance).status_code == 303
    (made,) = all_invoices()
    return made


def test_the_month_shows_what_closing_it_would_ask_of_whom(finance, admin, other_admin):
    used(admin, LAST.start, 1_100_000)
    used(other_admin, LAST.start, 2_100_000)
    shown = page(finance, f"{PATH}/month?month={LAST}")
    assert f"Tenant {admin.email}" in shown
    assert "2 invoices, $1.20" in shown
    assert "$0.80" in shown
    assert f"Close {LAST.title}" in shown
    assert all_invoices() == []


def test_closing_the_month_makes_what_was_shown(finance, admin):
    used(admin, LAST.start, 1_100_000)
    assert f"{LAST.title} is over and not closed" in page(finance)
    close(finance)
    (made,) = all_invoices()
    assert (made.total_cents, made.status) == (40, InvoiceStatus.OPEN)
    shown = page(finance, f"{PATH}/month?month={LAST}")
    assert "Closed on" in shown
    assert str(made.number) in shown
    assert f"{LAST.title} is over and not closed" not in page(finance)


def test_the_month_compares_the_ledger_with_the_invoices(finance, invoice, admin):
    used(admin, LAST.start, 77)
    rows = page(finance, f"{PATH}/month?month={LAST}").split("In the ledger")[1]
    for tokens in ("1,100,077", "1,100,000", ">77<"):
        assert tokens in rows


def test_a_month_that_is_not_over_is_not_closed(finance):
    for month in (RUNNING, RUNNING.next):
        response = close(finance, month)
        assert response.status_code == 422
        assert "is not over" in response.get_data(as_text=True)
    with operator_session("test") as session:
        assert session.scalar(select(func.count()).select_from(ClosedMonth)) == 0


def test_a_form_without_a_month_closes_nothing(finance, admin):
    used(admin, now(), 1_100_000)
    for action in ("close", "invoice-now"):
        assert finance.post(f"{PATH}/month/{action}", data={}).status_code == 422
    assert all_invoices() == []


def test_the_running_month_can_be_invoiced_now(finance, admin):
    used(admin, now(), 1_100_000)
    assert f"Invoice {RUNNING.title} now" in page(finance, f"{PATH}/month?month={RUNNING}")
    assert close(finance, RUNNING, early=True).status_code == 303
    (made,) = all_invoices()
    assert made.total_cents == 40
    assert "It is invoiced up to now" in page(finance, f"{PATH}/month?month={RUNNING}")


def test_a_month_that_is_none_or_has_not_begun_is_not_found(finance):
    for month in (RUNNING.next, "x"):
        assert finance.get(f"{PATH}/month?month={month}").status_code == 404


def payment(**values: str) -> dict[str, str]:
    return {"amount": "0.40", "reference": "Transfer 4711", "paid_on": now().date().isoformat(), **values}


def test_a_payment_is_recorded_with_reference_and_day(finance, invoice):
    assert 'value="0.40"' in page(finance, f"{PATH}/{invoice.id}")
    response = finance.post(f"{PATH}/{invoice.id}/payments", data=payment())
    assert response.location.endswith(str(invoice.id))
    (paid,) = all_invoices()
    assert (paid.status, paid.payment_reference) == (InvoiceStatus.PAID, "Transfer 4711")
    assert paid.paid_at == datetime.combine(now().date(), time(), UTC)
    shown = page(finance, f"{PATH}/{invoice.id}")
    assert "Transfer 4711" in shown
    assert "Record the payment" not in shown


def test_a_part_that_is_paid_leaves_the_rest_to_pay(finance, invoice):
    finance.post(f"{PATH}/{invoice.id}/payments", data=payment(amount="0.15"))
    assert all_invoices()[0].status is InvoiceStatus.OPEN
    shown = page(finance, f"{PATH}/{invoice.id}")
    assert "$0.25 of invoice" in shown
    assert 'value="0.25"' in shown


def test_a_payment_that_makes_no_sense_is_refused(finance, invoice):
    for values, error in (
        ({"amount": ""}, "Give the amount that came."),
        ({"amount": "-1"}, "Write it like 1234.50"),
        ({"amount": "0.001"}, "Write it like 1234.50"),
        ({"amount": "0.00"}, "at least one cent"),
        ({"amount": "0.41"}, "No more than $0.40 is left to pay"),
        ({"reference": " "}, "Give the payment"),
        ({"reference": "x" * 121}, "Use at most 120 characters."),
        ({"paid_on": ""}, "Give the day"),
        ({"paid_on": "31.12."}, "Not a valid date value."),
        ({"paid_on": (now().date() + timedelta(days=2)).isoformat()}, "dated in the future"),
        ({"paid_on": LAST.start.date().isoformat()}, "cannot be paid before"),
    ):
        response = finance.post(f"{PATH}/{invoice.id}/payments", data=payment(**values))
        assert response.status_code == 422, values
        assert error in response.get_data(as_text=True), values
    assert all_invoices()[0].status is InvoiceStatus.OPEN


def note(**values: str) -> dict[str, str]:
    return {"credit_amount": "0.30", "remedy": "credit", "credit_reason": "Outage", **values}


def test_a_credit_note_leaves_less_to_pay(finance, invoice):
    assert finance.post(f"{PATH}/{invoice.id}/credit-notes", data=note()).status_code == 303
    shown = page(finance, f"{PATH}/{invoice.id}")
    assert f"CN-{now().year}-000001" in shown
    assert "$0.30 less to pay" in shown
    (link,) = re.findall(rf"{PATH}/credit-notes/[^\"]+/credit-note.pdf", shown)
    assert finance.get(link).data.startswith(b"%PDF-")
    assert 'value="0.10"' in shown


@pytest.mark.parametrize(
    ("remedy", "words"), [("credit", "$0.30 as credit for later"), ("refund", "$0.30 paid back")]
)
def test_a_credit_note_for_a_paid_invoice_is_credit_or_paid_back(finance, invoice, remedy, words):
    finance.post(f"{PATH}/{invoice.id}/payments", data=payment())
    finance.post(f"{PATH}/{invoice.id}/credit-notes", data=note(remedy=remedy))
    assert words in page(finance, f"{PATH}/{invoice.id}")


def test_a_credit_note_that_makes_no_sense_is_refused(finance, invoice):
    for values, error in (
        ({"credit_amount": "0.41"}, "more than the invoice asked for"),
        ({"credit_amount": "x"}, "Write it like 1234.50"),
        ({"remedy": "x"}, "Not a valid choice"),
        ({"credit_reason": " "}, "Say what the credit note is for."),
    ):
        response = finance.post(f"{PATH}/{invoice.id}/credit-notes", data=note(**values))
        assert response.status_code == 422, values
        assert error in response.get_data(as_text=True), values


def test_an_invoice_is_given_up_with_a_reason_and_can_still_be_paid(finance, invoice):
    response = finance.post(f"{PATH}/{invoice.id}/give-up", data={"give_up_reason": ""})
    assert "Say why the invoice is given up." in response.get_data(as_text=True)
    finance.post(f"{PATH}/{invoice.id}/give-up", data={"give_up_reason": "Insolvent"})
    assert ">Uncollectible<" in page(finance, f"{PATH}/{invoice.id}")
    finance.post(f"{PATH}/{invoice.id}/payments", data=payment())
    assert all_invoices()[0].status is InvoiceStatus.PAID


def test_a_draft_is_shown_with_why_it_is_held(finance, invoice, other_admin):
    with operator_session("test") as session:
        session.add(
            Invoice(
                tenant_id=other_admin.scope.tenant_id,
                status=InvoiceStatus.DRAFT,
                plan_code="trial",
                currency="USD",
                period_start=LAST.start,
                period_end=LAST.end,
                total_cents=0,
                held_reason="Stripe asks for a cent more.",
            )
        )
        session.commit()
    assert ">Draft<" in page(finance)
    draft = next(one for one in all_invoices() if one.number is None)
    shown = page(finance, f"{PATH}/{draft.id}")
    assert "Stripe asks for a cent more." in shown
    assert "Record the payment" not in shown
    assert finance.get(f"{PATH}/{draft.id}/invoice.pdf").data.startswith(b"%PDF-")


def test_an_invoice_is_voided_with_a_reason(finance, invoice):
    response = finance.post(f"{PATH}/{invoice.id}/void", data={"reason": " "})
    assert response.status_code == 422
    assert "Say why the invoice is void." in response.get_data(as_text=True)
    assert finance.post(f"{PATH}/{invoice.id}/void", data={"reason": "Wrong company"}).status_code == 303
    assert "Void: Wrong company" in page(finance, f"{PATH}/{invoice.id}")


def test_who_comes_second_to_an_invoice_is_told_what_became_of_it(finance, invoice):
    finance.post(f"{PATH}/{invoice.id}/void", data={"reason": "Wrong company"})
    for action, data in (("void", {"reason": "Again"}), ("payments", payment()), ("credit-notes", note())):
        response = finance.post(f"{PATH}/{invoice.id}/{action}", data=data)
        assert response.status_code == 422
        assert f"{invoice.number} is void: only one that is" in response.get_data(as_text=True)


def test_an_invoice_shows_that_its_lines_add_up(finance, invoice):
    assert "The lines add up to the total." in page(finance, f"{PATH}/{invoice.id}")
    assert "Every invoice is the sum of its lines" in page(finance)


def test_an_invoice_whose_lines_do_not_add_up_is_pointed_out(finance, invoice):
    with operator_session("test") as session:
        session.add(
            Invoice(
                tenant_id=invoice.tenant_id,
                number="T-1",
                status=InvoiceStatus.OPEN,
                plan_code="trial",
                currency="USD",
                period_start=RUNNING.start,
                period_end=RUNNING.end,
                total_cents=1,
            )
        )
        session.commit()
    shown = page(finance)
    assert "Invoices whose lines do not add up" in shown
    assert "T-1" in shown


def test_the_list_is_narrowed_down_by_status_month_and_tenant(finance, invoice, other_admin):
    used(other_admin, now(), 1_100_000)
    close(finance, RUNNING, early=True)
    _, running = all_invoices()
    for query, (there, missing) in {
        f"month={LAST}": (invoice, running),
        f"month={RUNNING}": (running, invoice),
        f"tenant={other_admin.scope.tenant_id}": (running, invoice),
    }.items():
        shown = page(finance, f"{PATH}?{query}")
        assert there.number in shown
        assert missing.number not in shown
    assert "No invoices match" in page(finance, f"{PATH}?status=paid")
    assert "No invoices match" in page(finance, f"{PATH}?status=overdue")
    assert "$0.80" in page(finance)  # both, summed


def test_a_query_that_makes_no_sense_shows_the_list(finance, invoice):
    for query in ("status=x", "month=x", "tenant=x", "page=x", "page=0", "page=99999999999999999999"):
        assert invoice.number in page(finance, f"{PATH}?{query}"), query


def test_a_long_list_has_pages_that_keep_the_filter(finance, invoice, other_admin, monkeypatch):
    monkeypatch.setattr(invoice_search, "PAGE_SIZE", 1)
    used(other_admin, now(), 1_100_000)
    close(finance, RUNNING, early=True)
    assert "1–1 of 2" in page(finance)
    assert "status=open&amp;page=2" in page(finance, f"{PATH}?status=open")
    assert "2–2 of 2" in page(finance, f"{PATH}?page=2")


def test_the_csv_is_the_list_as_it_is_narrowed_down(finance, invoice):
    response = finance.get(f"{PATH}/invoices.csv?month={LAST}")
    assert response.headers["Content-Disposition"] == 'attachment; filename="invoices.csv"'
    (row,) = csv.DictReader(io.StringIO(response.data.decode("utf-8-sig")))
    assert (row["invoice"], row["total_cents"]) == (invoice.number, "40")
    nothing = finance.get(f"{PATH}/invoices.csv?status=paid").data.decode("utf-8-sig")
    assert len(nothing.splitlines()) == 1


def test_a_tenants_pdf_and_csv_are_the_operators_too(finance, invoice):
    assert finance.get(f"{PATH}/{invoice.id}/invoice.pdf").data.startswith(b"%PDF-")
    assert invoice.number in finance.get(f"{PATH}/{invoice.id}/lines.csv").get_data(as_text=True)


def test_an_invoice_that_is_not_there_is_not_found(finance, admin):
    path = f"{PATH}/{admin.scope.tenant_id}"
    for part in ("", "/invoice.pdf", "/lines.csv"):
        assert finance.get(path + part).status_code == 404
    for action in ("payments", "credit-notes", "give-up", "void"):
        assert finance.post(f"{path}/{action}", data={}).status_code == 404
