"""Revenue from documents: the same sum however it is grouped, and the same as the journal's."""

import csv
import io

import pytest
from hypothesis import given, settings

from billing.close import close_month
from billing.credit_notes import issue_credit_note
from billing.credits import grant_credit
from billing.issuing import issue
from billing.journal import CREDIT_NOTES, EXPIRED_CREDITS, GIVEN_CREDITS
from billing.periods import Month
from billing.revenue import Part, entries_csv, list_entries, totals_by, totals_csv
from core.db import operator_session
from core.models.credit_grants import CreditKind
from tests.billing.months import (
    FEBRUARY,
    JANUARY,
    STAFF,
    after,
    collect_with_stripe,
    old_tenant,
    on,
    use,
)
from tests.billing.test_journal import STEPS, Story, accounts, all_of

BEGINNING, END = Month(2020, 1), Month(2100, 1)


@pytest.fixture
def invoice(db):
    """One of $29.30: a fee, and 1,000,000 tokens beyond the quota; $5 are a trial's."""
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    for kind in (CreditKind.TRIAL, CreditKind.PREPAID):
        grant_credit(db, STAFF, tenant.id, kind, 500, "USD", kind, at=on(1))
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


def test_revenue_is_the_lines_less_what_was_given_and_taken_back(db, invoice):
    issue_credit_note(db, STAFF, invoice.id, 300, "Outage", at=on(5, FEBRUARY))
    entries = list_entries(db, BEGINNING, END)
    assert [(str(one.month), one.part, one.kind, one.amount_cents) for one in entries] == [
        ("2025-01", Part.GIVEN_CREDITS, None, -500),
        ("2025-01", Part.LINES, "platform", 2900),
        ("2025-01", Part.LINES, "prediction", 30),
        ("2025-02", Part.CREDIT_NOTE, None, -300),
    ]
    [january, february] = totals_by(entries, lambda one: (str(one.month), one.month.title))
    assert (january.lines_cents, january.given_cents, january.revenue_cents) == (2930, -500, 2430)
    assert (february.title, february.revenue_cents) == ("February 2025", -300)


def test_a_stretch_of_months_has_its_own_entries_alone(db, invoice):
    assert list_entries(db, FEBRUARY, END) == []
    assert list_entries(db, JANUARY, FEBRUARY) == list_entries(db, BEGINNING, END)


def test_tax_is_no_revenue_and_comes_back_without_a_cent_lost(db):
    tenant = old_tenant(db, "starter")
    collect_with_stripe(db, tenant)
    (draft,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    draft.tax_cents = 551
    assert list_entries(db, BEGINNING, END) == []
    issued = issue(db, draft, after(JANUARY))
    for cents in (1000, 1, 2449, 1):
        issue_credit_note(db, STAFF, issued.id, cents, "Outage")
    assert sum(one.amount_cents for one in list_entries(db, BEGINNING, END)) == 0


def test_the_csvs_have_entries_and_totals_that_sum_to_the_same(db, invoice):
    entries = list_entries(db, BEGINNING, END)
    rows = list(csv.DictReader(io.StringIO(entries_csv(entries))))
    by_tenant = totals_by(entries, lambda one: (str(one.tenant_id), one.tenant))
    totals = list(csv.DictReader(io.StringIO(totals_csv("tenant", by_tenant))))
    assert sum(int(row["amount_cents"]) for row in rows) == 2430
    assert sum(int(row["revenue_cents"]) for row in totals) == 2430
    assert {row["document"] for row in rows} == {invoice.number}


@given(STEPS)
@settings(max_examples=15, deadline=None)
def test_whatever_happens_revenue_is_the_journals(services, steps):
    with operator_session("test") as session:
        story = Story(session)
        for number, (step, *arguments) in enumerate(steps):
            story.play(number, step, *arguments)
        sums = accounts(all_of(session))
        posted = -sum(
            cents
            for account, cents in sums.items()
            if account in (GIVEN_CREDITS, CREDIT_NOTES)
            or (account.startswith("revenue:") and account != EXPIRED_CREDITS)
        )
        entries = list_entries(session, BEGINNING, END)
        assert sum(one.amount_cents for one in entries) == posted
        session.rollback()
