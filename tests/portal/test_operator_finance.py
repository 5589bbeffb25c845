"""The operator's finance pages: what is owed, earned, taken back and posted, with the rows behind each number."""

import csv
import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from billing import alerts, standing
from billing.close import close_month
from billing.credit_notes import issue_credit_note
from billing.periods import Month
from billing.plans import subscribe
from core.clock import now
from core.db import operator_session
from core.models.audit import StaffEvent
from core.models.billing import Invoice
from core.models.tenants import Tenant
from core.models.usage import UsageFact
from core.tenancy import StaffRole
from tests.billing.capped import cap, put_on_plan, work
from tests.billing.capped import use as use_capped
from tests.billing.months import STAFF, after, old_tenant, pay, use

LAST = Month.containing(now()).previous
EARLIER = LAST.previous.previous.previous.previous


@pytest.fixture
def finance(staff):
    return staff(StaffRole.FINANCE).client


def page(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(response.get_data(as_text=True).split())


def rows(client, path: str) -> list[dict[str, str]]:
    response = client.get(path)
    assert response.status_code == 200, path
    return list(csv.DictReader(io.StringIO(response.data.decode("utf-8-sig"))))


@pytest.fixture
def invoices(services) -> dict[str, Invoice]:
    """Lark's invoices of $29.30 and $29.00: one long overdue, and one of last month. Wren has paid its own of $29.00."""
    with operator_session("test") as session:
        lark, wren = (old_tenant(session, "starter", EARLIER.start) for _ in range(2))
        lark.name, wren.name = "Lark", "Wren"
        use(session, lark, EARLIER.start, 11_000_000, request_id="from-lark")
        month = EARLIER
        made: list[Invoice] = []
        while month <= LAST:
            made += close_month(session, month, STAFF, at=after(month))
            month = month.next
        found = {
            "old": next(one for one in made if one.tenant_id == lark.id),
            "new": next(one for one in reversed(made) if one.tenant_id == lark.id),
            "paid": next(one for one in made if one.tenant_id == wren.id),
        }
        for one in made:
            if one not in (found["old"], found["new"]):
                pay(session, one)
        session.commit()
        return found


def test_receivables_stand_under_their_age_and_lead_to_their_invoices(finance, invoices):
    shown = page(finance, "/operator/receivables")
    assert "Lark" in shown
    assert "Wren" not in shown
    assert "$58.30" in shown
    [address] = re.findall(r'href="([^"]*age=over-90&amp;tenant=[^"]*)"', shown)
    narrowed = page(finance, address.replace("&amp;", "&"))
    listed = narrowed.split('id="invoices"')[1]
    assert invoices["old"].number in listed
    assert invoices["new"].number not in listed


def test_the_receivables_csv_sums_to_what_the_page_shows(finance, invoices):
    found = rows(finance, "/operator/receivables/receivables.csv")
    assert sum(int(row["left_cents"]) for row in found) == 5830
    narrowed = rows(finance, "/operator/receivables/receivables.csv?age=over-90")
    assert [row["invoice"] for row in narrowed] == [invoices["old"].number]


def test_a_tenant_whose_payment_is_missing_is_listed_with_its_grace(finance, invoices):
    with operator_session("test") as session:
        standing.refresh_due(session)
        tenant = session.get_one(Tenant, invoices["old"].tenant_id)
        stands = standing.standing_of(session, tenant)
    shown = page(finance, "/operator/receivables/missing")
    assert "Lark" in shown
    assert ">Suspended<" in shown
    assert f"{stands.suspends_at:%-d %b %Y}" in shown


@pytest.mark.parametrize("by", ["month", "plan", "tenant", "kind"])
def test_revenue_is_the_same_by_whatever_it_is_grouped(finance, invoices, by):
    query = f"year={EARLIER.year}&by={by}"
    of_the_year = sum(
        int(row["amount_cents"])
        for row in rows(finance, f"/operator/revenue/entries.csv?year={EARLIER.year}")
    )
    totals = rows(finance, f"/operator/revenue/revenue.csv?{query}")
    assert sum(int(row["revenue_cents"]) for row in totals) == of_the_year
    shown = page(finance, f"/operator/revenue?{query}")
    for row in totals:
        assert row["title"] in shown
        behind = rows(finance, f"/operator/revenue/entries.csv?{query}&of={row[by]}")
        assert sum(int(one["amount_cents"]) for one in behind) == int(row["revenue_cents"])


def test_an_amount_of_revenue_leads_to_its_invoices(finance, invoices):
    path = f"/operator/revenue?year={EARLIER.year}&by=tenant&of={invoices['old'].tenant_id}"
    entries = page(finance, path).split('id="entries"')[1]
    assert invoices["old"].number in entries
    assert invoices["paid"].number not in entries


def test_revenue_of_what_there_is_not_is_not_found(finance, invoices):
    for query in ("year=1999", "year=x", f"year={now().year + 1}", "by=x", "by=plan&of=x"):
        assert finance.get(f"/operator/revenue?{query}").status_code == 404, query


def test_fees_in_force_are_shown_by_plan_and_listed_by_tenant(finance, invoices):
    assert "$58.00" in page(finance, "/operator/revenue/recurring")
    fees = rows(finance, "/operator/revenue/recurring.csv")
    assert [(row["tenant"], row["fee_cents"]) for row in fees] == [("Lark", "2900"), ("Wren", "2900")]


def test_usage_of_all_tenants_is_shown_by_month(finance, invoices):
    assert "11,000,000" in page(finance, f"/operator/revenue/usage?year={EARLIER.year}")
    (row,) = rows(finance, f"/operator/revenue/usage.csv?year={EARLIER.year}")
    assert (row["month"], row["tenants"], row["prediction_tokens"]) == (str(EARLIER), "1", "11000000")


def test_credit_notes_are_listed_in_their_month(finance, invoices):
    with operator_session("test") as session:
        note = issue_credit_note(session, STAFF, invoices["old"].id, 130, "Outage")
        session.commit()
    shown = page(finance, "/operator/credit-notes")
    for text in (note.number, invoices["old"].number, "Outage", "$1.30"):
        assert text in shown
    (row,) = rows(finance, f"/operator/credit-notes/credit-notes.csv?month={now():%Y-%m}")
    assert (row["credit_note"], row["amount_cents"]) == (note.number, "130")
    assert "No credit notes" in page(finance, f"/operator/credit-notes?month={LAST}")


def test_a_tenant_near_its_cap_is_shown_with_what_it_has_spent(finance, admin):
    put_on_plan(admin.scope, prediction={"unit_amount": 1})
    cap(admin.scope, 1000)
    use_capped(admin.scope, work(0), 790)
    with operator_session("test") as session:
        alerts.raise_all_due(session)
    assert "Nobody is near a budget" in page(finance, "/operator/caps")
    use_capped(admin.scope, work(0), 10)
    with operator_session("test") as session:
        alerts.raise_all_due(session)
    shown = page(finance, "/operator/caps")
    for text in (f"Tenant {admin.email}", "$8.00", "80 %", "$10.00", "Refuses"):
        assert text in shown


def test_the_journal_shows_that_debit_and_credit_are_the_same(finance, invoices):
    month = EARLIER.next  # its invoices are made in the month after
    shown = page(finance, f"/operator/journal?month={month}")
    assert "Debit and credit are the same, to the cent." in shown
    found = rows(finance, f"/operator/journal/journal.csv?month={month}")
    debit = sum(int(row["debit_cents"]) for row in found)
    assert debit == sum(int(row["credit_cents"]) for row in found) > 0
    assert f"${debit / 100:,.2f}" in shown


def test_an_account_of_the_journal_leads_to_its_postings(finance, invoices):
    path = f"/operator/journal?month={EARLIER.next}&account=revenue:platform"
    postings = page(finance, path).split('id="postings"')[1]
    assert "revenue:platform" in postings
    assert "accounts_receivable" not in postings


def fact() -> UsageFact:
    with operator_session("test") as session:
        return session.scalars(select(UsageFact).filter_by(request_id="from-lark")).one()


def take_back(client, used: UsageFact, reason: str = "Sent twice"):
    path = f"/operator/corrections/{used.tenant_id}/{used.id}/reverse"
    return client.post(path, data={f"{used.id}-reason": reason})


def test_a_request_is_found_by_its_id_and_taken_back_once_with_a_reason(finance, invoices):
    shown = page(finance, "/operator/corrections?q=from-lark")
    assert "11,000,000" in shown
    assert "Lark" in shown
    refused = take_back(finance, fact(), " ")
    assert refused.status_code == 422
    assert "Say why the usage is taken back." in refused.get_data(as_text=True)
    assert take_back(finance, fact()).status_code == 303
    again = take_back(finance, fact())
    assert again.status_code == 422
    assert "is reversed already" in again.get_data(as_text=True)
    shown = page(finance, "/operator/corrections")
    assert "Sent twice" in shown
    assert "Take back</button>" not in page(finance, "/operator/corrections?q=from-lark")


def test_usage_that_is_not_there_is_not_found(finance, invoices, admin):
    used = fact()
    assert "No usage of this request" in page(finance, "/operator/corrections?q=nothing")
    for tenant_id, fact_id in ((admin.scope.tenant_id, used.id), (used.tenant_id, used.tenant_id)):
        path = f"/operator/corrections/{tenant_id}/{fact_id}/reverse"
        assert finance.post(path, data={}).status_code == 404


def test_the_money_log_has_who_did_what_about_money_and_nothing_else(finance, invoices):
    take_back(finance, fact())
    with operator_session("test") as session:
        event = session.scalars(select(StaffEvent).filter_by(action="usage.reversed")).one()
        created = session.scalars(select(StaffEvent).filter_by(action="staff.created")).first()
    shown = page(finance, "/operator/money-log")
    assert "Usage: reversed" in shown
    assert event.actor_label in shown
    assert created is not None
    assert "Staff: created" not in shown
    assert "No events match" in page(finance, "/operator/money-log?action=usage.reversed&actor=nobody")


def test_invoices_are_found_by_tenant_collection_plan_and_day_of_issue(finance, invoices):
    old, paid = invoices["old"], invoices["paid"]
    issued = old.issued_at.date()
    for query, (there, missing) in {
        "q=lark": (old, paid),
        "status=paid&q=w": (paid, old),
        f"issued_from={issued}&issued_until={issued}": (old, invoices["new"]),
        f"issued_from={issued + timedelta(days=1)}": (invoices["new"], old),
        "collection=bank_transfer&plan=starter&q=Lark": (old, paid),
    }.items():
        shown = page(finance, f"/operator/invoices?{query}")
        assert there.number in shown, query
        assert missing.number not in shown, query
    for query in ("collection=stripe", "plan=scale", "status=held", "issued_until=9999-12-31&q=nobody"):
        assert "No invoices match" in page(finance, f"/operator/invoices?{query}"), query


def test_a_held_draft_is_found_among_the_held(finance, invoices):
    with operator_session("test") as session:
        draft = session.get_one(Invoice, invoices["new"].id)
        draft.held_reason = "Stripe asks for a cent more."
        session.commit()
    shown = page(finance, "/operator/invoices?status=held")
    assert invoices["new"].number in shown
    assert invoices["old"].number not in shown


def test_a_change_of_plan_moves_the_recurring_fee(finance, invoices):
    with operator_session("test") as session:
        subscribe(session, invoices["old"].tenant_id, "scale", now())
        session.commit()
    fees = rows(finance, "/operator/revenue/recurring.csv")
    assert {row["tenant"]: row["plan"] for row in fees} == {"Lark": "scale", "Wren": "starter"}


def test_nothing_yet_is_said_on_each_page(finance):
    for path in (
        "/operator/receivables",
        "/operator/receivables/missing",
        "/operator/revenue",
        "/operator/revenue/recurring",
        "/operator/revenue/usage",
        "/operator/credit-notes",
        "/operator/caps",
        "/operator/reconciliation",
        "/operator/stripe/outbox",
        "/operator/stripe/inbox",
        "/operator/journal",
        "/operator/corrections",
        "/operator/money-log",
    ):
        page(finance, path)
