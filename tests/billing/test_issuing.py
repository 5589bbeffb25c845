"""Issuing drafts: numbers without a gap whoever issues, and amounts that stay once they are out."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import ProgrammingError

from billing.close import close_month
from billing.corrections import reverse
from billing.credits import grant_credit, list_credits
from billing.invoices import InvoiceStateError, to_pay_cents
from billing.issuing import issue
from core.db import operator_session
from core.models.billing import Collection, Invoice, InvoiceCounter, InvoiceStatus
from core.models.credit_grants import CreditKind
from core.models.usage import UsageFact
from tests.billing.months import (
    FEBRUARY,
    JANUARY,
    STAFF,
    after,
    collect_with_stripe,
    draft_of,
    old_tenant,
    on,
    use,
)


@pytest.fixture
def draft(db) -> Invoice:
    return draft_of(db, old_tenant(db, "starter"))


def test_what_stripe_collects_is_closed_as_a_draft_without_a_number(draft):
    assert (draft.status, draft.number, draft.collection) == (InvoiceStatus.DRAFT, None, Collection.STRIPE)
    assert (draft.issued_at, draft.due_at, draft.total_cents) == (None, None, 2900)


def test_a_draft_that_is_issued_takes_the_next_number_and_is_due_that_day(db, draft):
    draft.held_reason = "Stripe asks for a cent more."
    issued = issue(db, draft, on(1, FEBRUARY))
    assert (issued.status, issued.number, issued.held_reason) == (InvoiceStatus.OPEN, "2025-000001", None)
    assert (issued.issued_at, to_pay_cents(db, issued)) == (on(1, FEBRUARY), 2900)
    assert issued.due_at == datetime(2025, 2, 1, 23, 59, 59, 999999, tzinfo=UTC)


def test_an_invoice_is_issued_once(db, draft):
    issue(db, draft, on(1, FEBRUARY))
    with pytest.raises(InvoiceStateError, match="2025-000001 is open: only one that is draft"):
        issue(db, draft, on(1, FEBRUARY))


def test_tax_is_asked_for_beside_the_lines(db, draft):
    draft.tax_cents = 551
    assert to_pay_cents(db, issue(db, draft, on(1, FEBRUARY))) == 3451


def test_a_draft_leaves_no_gap_between_those_issued_at_once(db):
    stripes, other = old_tenant(db, "starter"), old_tenant(db, "starter")
    collect_with_stripe(db, stripes)
    draft, issued = sorted(
        close_month(db, JANUARY, STAFF, at=after(JANUARY)), key=lambda one: one.tenant_id == other.id
    )
    assert (draft.number, issued.number) == (None, "2025-000001")
    assert issue(db, draft, on(3, FEBRUARY)).number == "2025-000002"


def test_an_early_invoice_leaves_out_whom_stripe_asks_when_the_month_is_over(db):
    tenant = old_tenant(db, "starter")
    collect_with_stripe(db, tenant)
    assert close_month(db, JANUARY, STAFF, early=True, at=on(11)) == []
    (draft,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert draft.total_cents == 2900


def test_numbers_have_no_gap_though_drafts_are_issued_and_rolled_back_at_once(services):
    with operator_session("test") as session:
        for _ in range(12):
            collect_with_stripe(session, old_tenant(session, "starter"))
        drafts = close_month(session, JANUARY, STAFF, at=after(JANUARY))
        session.commit()

    def issue_or_fail(number: int) -> None:
        with operator_session("test") as session:
            issue(session, session.get_one(Invoice, drafts[number].id), on(1, FEBRUARY))
            if number % 3:
                session.commit()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(issue_or_fail, range(12)))
    with operator_session("test") as session:
        found = session.scalars(
            select(Invoice.number).where(Invoice.number.is_not(None)).order_by(Invoice.number)
        )
        assert list(found) == [f"2025-{number:06d}" for number in range(1, 9)]
        assert session.get_one(InvoiceCounter, 2025).last == 8


def test_lines_that_sum_below_zero_become_credit_and_nothing_is_to_pay(db):
    tenant = old_tenant(db)
    use(db, tenant, on(3), 2_100_000)
    (first,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    fact = db.scalars(select(UsageFact).where(UsageFact.tenant_id == tenant.id)).one()
    reverse(db, STAFF, tenant.id, fact.id, "Counted twice")
    (second,) = close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert (first.total_cents, second.total_cents) == (80, -80)
    assert (second.status, second.payment_reference) == (InvoiceStatus.PAID, "Nothing to pay")
    assert to_pay_cents(db, second) == 0
    (credit,) = list_credits(db, tenant.id)
    assert (credit.grant.kind, credit.balance_cents) == (CreditKind.CREDIT_NOTE, 80)


def test_an_invoice_that_credit_pays_for_is_paid_at_once(db):
    tenant = old_tenant(db, "starter")
    grant_credit(db, STAFF, tenant.id, CreditKind.PROMOTION, 5000, "USD", "Welcome", at=on(1))
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert (invoice.status, invoice.payment_reference) == (InvoiceStatus.PAID, "Paid with credit")
    assert (invoice.total_cents, invoice.credits_cents) == (2900, 2900)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("number", "2025-000009"),
        ("issued_at", on(2, FEBRUARY)),
        ("due_at", on(2, FEBRUARY)),
        ("tax_cents", 1),
        ("credits_cents", 1),
        ("collection", Collection.BANK_TRANSFER),
    ],
)
def test_the_database_keeps_what_an_issued_invoice_says(db, draft, column, value):
    db.execute(update(Invoice).values({column: getattr(draft, column)}))  # a draft may still change
    issue(db, draft, on(1, FEBRUARY))
    with pytest.raises(ProgrammingError, match="invoice 2025-000001 is issued: its number and amounts stay"):
        db.execute(update(Invoice).values({column: value}))


def test_the_database_lets_no_issued_invoice_be_a_draft_again(db, draft):
    issue(db, draft, on(1, FEBRUARY))
    with pytest.raises(ProgrammingError, match="is issued"):
        db.execute(text("UPDATE invoices SET status = 'draft', number = NULL"))
