"""The usage behind a line of an invoice: by day, one by one and as CSV, and nobody else's."""

import csv
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from billing.close import close_month
from billing.corrections import reverse
from billing.invoices import lines_of
from billing.ledger import Usage, record
from billing.periods import Month
from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.billing import Invoice
from core.models.tenants import Tenant
from core.models.usage import UsageFact, UsageKind, UsageSource
from portal.views import invoices as views
from tests.billing.months import STAFF, use

LAST = Month.containing(now()).previous
SECOND = LAST.start + timedelta(days=1)


def used(person, *usage, kind=UsageKind.PREDICTION) -> None:
    """Facts of last month: when, tokens and request of each."""
    with tenant_session(person.scope) as session:
        tenant = session.get_one(Tenant, person.scope.tenant_id)
        for at, tokens, request_id in usage:
            use(session, tenant, at, tokens, kind, request_id=request_id)
        session.commit()


def invoiced(person, month=LAST) -> Invoice:
    with operator_session("test") as session:
        closed = close_month(session, month, STAFF, early=month != LAST)
        session.commit()
    (invoice,) = [one for one in closed if one.tenant_id == person.scope.tenant_id]
    return invoice


def page(person, path: str) -> str:
    response = person.client.get(path)
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def figures(shown: str) -> list[str]:
    """The numbers in the tables' cells."""
    return re.findall(r'<td class="num">([^<]*)</td>', shown)


def test_an_invoices_line_leads_to_its_days_and_they_to_their_requests(admin):
    used(admin, (LAST.start, 150_000, "first"), (SECOND, 200_000, "second"), (SECOND, 50_000, "third"))
    invoice = invoiced(admin)
    assert f'href="/invoices/{invoice.id}/lines/1"' in page(admin, f"/invoices/{invoice.id}")
    shown = page(admin, f"/invoices/{invoice.id}/lines/1")
    assert "Sums to the line" in shown
    assert figures(shown) == ["1", "150,000", "2", "250,000", "3", "400,000"]
    address = f"/invoices/{invoice.id}/lines/1/usage?day={SECOND.date()}"
    assert f'href="{address}"' in shown
    requests = page(admin, address)
    assert "second</code>" in requests
    assert "third</code>" in requests
    assert "first</code>" not in requests


def test_every_number_of_an_invoice_is_the_sum_of_ledger_rows(admin):
    used(admin, *[(LAST.start + timedelta(hours=7 * hour), 1_000 + hour, f"p{hour}") for hour in range(40)])
    used(admin, (SECOND, 700_000, "job"), kind=UsageKind.TRAINING)
    invoice = invoiced(admin)
    with tenant_session(admin.scope) as session:
        lines = lines_of(session, session.get_one(Invoice, invoice.id))
        ledger = dict(
            session.execute(
                select(UsageFact.kind, func.sum(UsageFact.quantity)).group_by(UsageFact.kind)
            ).all()
        )
    assert sum(line.amount_cents for line in lines) == invoice.total_cents
    for line in lines:
        shown = page(admin, f"/invoices/{invoice.id}/lines/{line.position}")
        assert "Sums to the line" in shown
        assert figures(shown)[-1] == f"{line.quantity:,}" == f"{ledger[UsageKind(line.kind)]:,}"
        days = re.findall(r'href="([^"]*/usage\?day=[^"]*)"', shown)
        singles = [
            tokens for day in days for tokens in re.findall(r"<span>([\d,]+)</span>", page(admin, day))
        ]
        assert sum(int(tokens.replace(",", "")) for tokens in singles) == line.quantity


def test_what_was_taken_back_is_shown_with_its_reason_on_the_invoice_that_gives_back(admin):
    used(admin, (SECOND, 1_100_000, "by mistake"))
    invoiced(admin)
    with operator_session("test") as session:
        fact = session.scalars(select(UsageFact).filter_by(tenant_id=admin.scope.tenant_id)).one()
        reverse(session, STAFF, admin.scope.tenant_id, fact.id, "Their test ran on the live key")
        session.commit()
    invoice = invoiced(admin, LAST.next)
    shown = page(admin, f"/invoices/{invoice.id}/lines/1")
    assert f"Usage of {LAST.title} that its own invoice does not have" in shown
    assert "Sums to the line" in shown
    requests = page(admin, f"/invoices/{invoice.id}/lines/1/usage?day={SECOND.date()}")
    for text in ("by mistake", "Taken back", "Their test ran on the live key", "−1,100,000"):
        assert text in requests


def test_usage_that_was_being_recorded_while_the_invoice_was_made_goes_on_the_next(admin):
    used(admin, (SECOND, 400_000, "seen"))
    with tenant_session(admin.scope) as slow:
        use(slow, slow.get_one(Tenant, admin.scope.tenant_id), SECOND, 300_000, request_id="under way")
        own = invoiced(admin)
        slow.commit()
    late = invoiced(admin, LAST.next)
    for invoice, request, tokens in ((own, "seen", "400,000"), (late, "under way", "300,000")):
        shown = page(admin, f"/invoices/{invoice.id}/lines/1")
        assert "Sums to the line" in shown
        assert figures(shown)[-1] == tokens
        requests = page(admin, f"/invoices/{invoice.id}/lines/1/usage?day={SECOND.date()}")
        assert re.findall(r">([a-z ]+)</code>", requests) == [request]


def test_where_it_cannot_be_told_what_the_invoice_knew_the_difference_is_shown(admin):
    with tenant_session(admin.scope) as slow:
        use(slow, slow.get_one(Tenant, admin.scope.tenant_id), SECOND, 300_000, request_id="under way")
        used(admin, (SECOND, 400_000, "seen"))  # recorded later, and there before
        invoice = invoiced(admin)
        slow.commit()
    shown = page(admin, f"/invoices/{invoice.id}/lines/1")
    assert "Does not sum to the line" in shown
    assert figures(shown)[-1] == "−300,000"


def test_a_days_requests_come_in_pages(admin, monkeypatch):
    monkeypatch.setattr(views, "FACTS_PAGE", 2)
    used(admin, *[(SECOND + timedelta(minutes=minute), 60_000, f"r{minute}") for minute in range(3)])
    invoice = invoiced(admin)
    address = f"/invoices/{invoice.id}/lines/1/usage?day={SECOND.date()}"
    first = page(admin, address)
    assert re.findall(r"(r\d)</code>", first) == ["r2", "r1"]
    assert "1–2 of 3" in first
    assert re.findall(r"(r\d)</code>", page(admin, f"{address}&page=2")) == ["r0"]


def test_the_csv_has_every_request_and_none_that_a_spreadsheet_would_run(admin):
    with tenant_session(admin.scope) as session:
        key, _ = api_keys.create(session, admin.scope, "=1+1")
        for number in range(2_000):
            usage = Usage(
                f"request-{number}",
                UsageKind.PREDICTION,
                200,
                UsageSource.API,
                occurred_at=SECOND,
                api_key_id=key.id,
            )
            record(session, admin.scope.tenant_id, usage)
        session.commit()
    invoice = invoiced(admin)
    response = admin.client.get(f"/invoices/{invoice.id}/lines/1/usage.csv")
    assert response.headers["Content-Disposition"] == (
        f'attachment; filename="invoice-{invoice.number}-line-1-usage.csv"'
    )
    rows = list(csv.DictReader(response.data.decode("utf-8-sig").splitlines()))
    assert len(rows) == 2_000
    assert sum(int(row["tokens_charged"]) for row in rows) == 400_000
    assert {row["key"][:5] for row in rows} == {"'=1+1"}


@pytest.mark.parametrize("part", ["", "/usage?day=2025-01-01", "/usage?day=x", "/usage", "/usage.csv"])
def test_another_tenants_line_is_not_found(admin, other_admin, part):
    used(admin, (SECOND, 400_000, "theirs"))
    invoice = invoiced(admin)
    assert other_admin.client.get(f"/invoices/{invoice.id}/lines/1{part}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "lines/2",
        "lines/99999999999999999999",
        "lines/1/usage?day=x",
        "lines/1/usage?day=9999-12-31",
        "lines/1/usage",
    ],
)
def test_a_line_or_day_that_is_none_is_not_found(admin, path):
    used(admin, (SECOND, 400_000, "ours"))
    invoice = invoiced(admin)
    assert admin.client.get(f"/invoices/{invoice.id}/{path}").status_code == 404
