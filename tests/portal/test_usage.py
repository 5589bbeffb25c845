"""The usage page: what a month cost, by day, model and key, for those who may see it."""

import csv
import json
import re
from datetime import timedelta
from html import unescape
from typing import Any

from sqlalchemy import func, select

from billing.close import close_month
from billing.periods import Month
from billing.usage import month_usage
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.tenants import Tenant
from core.models.usage import UsageFact, UsageKind
from core.tenancy import Role
from tests.billing.months import STAFF, use

RUNNING = Month.containing(now())
LAST = RUNNING.previous


def charts(shown: str) -> list[dict[str, Any]]:
    """What the page's charts draw."""
    return [json.loads(unescape(drawn)) for drawn in re.findall(r"data-chart='([^']*)'", shown)]


def used(person, at, quantity, kind=UsageKind.PREDICTION) -> None:
    with tenant_session(person.scope) as session:
        use(session, session.get_one(Tenant, person.scope.tenant_id), at, quantity, kind)
        session.commit()


def page(person, query: str = "") -> str:
    response = person.client.get(f"/usage{query}")
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def test_the_running_month_shows_its_cost_and_what_is_left_of_the_quota(admin):
    used(admin, now(), 1_100_000)
    used(admin, now(), 20_000, UsageKind.TRAINING)
    shown = page(admin)
    assert RUNNING.title in shown
    assert "$0.40" in shown
    assert "1,100,000" in shown
    assert "100,000 are included; 1,000,000 are charged." in shown
    assert "480,000 of 500,000 included ones are left." in shown
    assert "$2.00 per million" in shown


def test_a_chat_is_one_request_with_what_it_read_and_what_it_wrote(admin):
    assert "Chat input tokens</th>" not in page(admin).partition("Cost by model")[2]
    used(admin, now(), 1_200_000, UsageKind.CHAT_INPUT)
    used(admin, now(), 100_000, UsageKind.CHAT_OUTPUT)
    shown = page(admin)
    assert "1,200,000 read, 100,000 written" in shown
    assert "$0.60 per million" in shown
    by_model = shown.partition("Cost by model")[2]
    assert re.findall(r'class="num[^"]*">([^<]*)</td>', by_model)[:6] == [
        "0", "0", "1,200,000", "100,000", "1", "$0.60",
    ]  # fmt: skip


def test_every_number_of_the_page_is_the_sum_of_ledger_rows(admin):
    for hour in range(30):
        used(admin, LAST.start + timedelta(hours=20 * hour), 50_000 + hour)
    used(admin, LAST.start, 2_000_000, UsageKind.TRAINING)
    shown = page(admin, f"?month={LAST}")
    with tenant_session(admin.scope) as session:
        tokens = dict(
            session.execute(
                select(UsageFact.kind, func.sum(UsageFact.quantity)).group_by(UsageFact.kind)
            ).all()
        )
        cents = month_usage(session, admin.scope.tenant_id, LAST).bill.total_cents
    for kind in (UsageKind.PREDICTION, UsageKind.TRAINING):
        assert f">{tokens[kind]:,}<" in shown
    for by in ("day", "model", "key"):
        text = admin.client.get(f"/usage/table.csv?month={LAST}&by={by}").data.decode("utf-8-sig")
        rows = list(csv.DictReader(text.splitlines()))
        assert sum(int(row["prediction_tokens"]) for row in rows) == tokens[UsageKind.PREDICTION]
        assert sum(int(row["training_tokens"]) for row in rows) == tokens[UsageKind.TRAINING]
        assert sum(int(row["cost_cents"]) for row in rows) == cents
    (chart,) = [drawn for drawn in charts(shown) if drawn.get("format") == "money" and drawn.get("stacked")]
    drawn_cents = [round(100 * value) for series in chart["series"] for value in series["values"]]
    assert sum(drawn_cents) == cents


def test_the_chart_of_a_running_month_has_its_forecast(admin):
    used(admin, now(), 1_100_000)
    (chart,) = [drawn for drawn in charts(page(admin)) if drawn.get("stacked") and drawn["format"] == "money"]
    assert [series["name"] for series in chart["series"]] in (
        ["Prediction tokens", "Forecast"],
        ["Prediction tokens"],  # in a month's last moments nothing is to come
    )


def test_a_month_without_usage_says_what_to_do(admin):
    shown = page(admin)
    assert f"Nothing used in {RUNNING.title}" in shown
    assert "Try a model" in shown


def test_an_earlier_month_is_reached_by_the_switch(admin):
    used(admin, LAST.start, 1_100_000)
    assert f'href="/usage?month={LAST}"' in page(admin)
    shown = page(admin, f"?month={LAST}")
    assert f'href="/usage?month={RUNNING}"' in shown
    assert f"Usage of {LAST.title}" in shown
    assert "Projected" not in shown


def test_a_month_that_is_none_or_has_not_begun_is_not_found(admin):
    for month in (RUNNING.next, "2026-13", "x", "9999-12"):
        assert admin.client.get(f"/usage?month={month}").status_code == 404, month


def test_usage_after_an_invoice_is_said_to_come_on_a_later_one(admin):
    used(admin, LAST.start, 1_100_000)
    with operator_session("test") as session:
        (invoice,) = close_month(session, LAST, STAFF)
        session.commit()
    assert "Not all of this is on invoice" not in page(admin, f"?month={LAST}")
    used(admin, LAST.start, 1_000_000)
    assert f"Not all of this is on invoice {invoice.number}" in page(admin, f"?month={LAST}")


def test_an_early_invoice_is_said_to_cover_the_month_so_far(admin):
    used(admin, now(), 1_100_000)
    with operator_session("test") as session:
        close_month(session, RUNNING, STAFF, early=True)
        session.commit()
    assert "This month is invoiced up to" in page(admin)


def test_each_table_can_be_downloaded(admin):
    used(admin, LAST.start, 1_100_000)
    for by, row in (("day", f"{LAST}-01"), ("model", "No model"), ("key", "API")):
        response = admin.client.get(f"/usage/table.csv?month={LAST}&by={by}")
        assert response.headers["Content-Disposition"] == f'attachment; filename="usage-{LAST}-by-{by}.csv"'
        assert response.content_type == "text/csv; charset=utf-8"
        lines = response.data.decode("utf-8-sig").splitlines()
        assert lines[0] == (
            f"{by},prediction_tokens,training_tokens,chat_input_tokens,chat_output_tokens,requests,cost_cents"
        )
        assert f"{row},1100000,0,0,0,1,40" in lines
    assert admin.client.get("/usage/table.csv?by=person").status_code == 404


def test_another_tenants_usage_is_not_shown(admin, other_admin):
    used(other_admin, now(), 1_100_000)
    assert f"Nothing used in {RUNNING.title}" in page(admin)


def test_a_viewer_does_not_see_usage_and_finance_does(member):
    assert member(Role.FINANCE).client.get("/usage").status_code == 200
    assert member(Role.VIEWER).client.get("/usage").status_code == 403
