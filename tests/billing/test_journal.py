"""The journal: every document balances, and the accounts say what invoices, payments and credits say."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.cancelling import mark_uncollectible, void
from billing.close import close_month
from billing.credit_notes import Remedy, creditable_cents, issue_credit_note, tax_in
from billing.credits import PAID_FOR, expire_credits, grant_credit, list_credits
from billing.invoices import InvoiceStateError, find_unbalanced, to_pay_cents, totals
from billing.issuing import issue
from billing.journal import (
    BAD_DEBT,
    CREDIT_NOTES,
    CUSTOMER_CREDITS,
    EXPIRED_CREDITS,
    GIVEN_CREDITS,
    RECEIVABLE,
    TAX,
    Document,
    Posting,
    journal,
    journal_csv,
)
from billing.payments import record_payment
from core.db import operator_session
from core.models.billing import Invoice, InvoiceStatus
from core.models.credit_grants import CreditGrant, CreditKind
from core.models.payments import Payment
from core.models.tenants import Tenant
from core.tenancy import Actor, ActorKind
from tests.billing.months import (
    FEBRUARY,
    JANUARY,
    STAFF,
    after,
    collect_with_stripe,
    old_tenant,
    on,
    pay,
    use,
)

BEGINNING, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def all_of(session: Session) -> list[Posting]:
    return journal(session, BEGINNING, END)


def accounts(postings: Iterable[Posting]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for posting in postings:
        sums[posting.account] += posting.amount_cents
    return sums


def of(postings: Iterable[Posting], document: Document) -> dict[str, int]:
    return dict(accounts(posting for posting in postings if posting.document is document))


@pytest.fixture
def invoice(db) -> Invoice:
    """One of $29.30: a fee, and 1,000,000 tokens beyond the quota."""
    tenant = old_tenant(db, "starter")
    use(db, tenant, on(3), 11_000_000)
    grant_credit(db, STAFF, tenant.id, CreditKind.TRIAL, 500, "USD", "trial", at=on(1))
    grant_credit(db, STAFF, tenant.id, CreditKind.PREPAID, 1000, "USD", "Transfer 1", at=on(1))
    (made,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    return made


def test_an_issued_invoice_is_revenue_by_kind_less_the_credits_that_it_draws(db, invoice):
    postings = all_of(db)
    assert of(postings, Document.INVOICE) == {
        RECEIVABLE: 2930,
        "revenue:platform": -2900,
        "revenue:prediction": -30,
    }
    assert of(postings, Document.CREDITS_DRAWN) == {
        RECEIVABLE: -1500,
        GIVEN_CREDITS: 500,
        CUSTOMER_CREDITS: 1000,
    }
    assert of(postings, Document.PREPAYMENT) == {"cash:bank_transfer": 1000, CUSTOMER_CREDITS: -1000}


def test_a_payment_is_cash_and_a_refund_takes_it_back(db, invoice):
    pay(db, invoice)
    issue_credit_note(db, STAFF, invoice.id, 300, "Outage", Remedy.REFUND)
    postings = all_of(db)
    assert of(postings, Document.PAYMENT) == {"cash:bank_transfer": 1430, RECEIVABLE: -1430}
    assert of(postings, Document.CREDIT_NOTE) == {CREDIT_NOTES: 300, RECEIVABLE: -300}
    assert of(postings, Document.REFUND) == {"cash:bank_transfer": -300, RECEIVABLE: 300}


def test_a_void_invoice_takes_all_of_it_back(db, invoice):
    void(db, STAFF, invoice.id, "Wrong")
    postings = all_of(db)
    assert +accounts(one for one in postings if one.document is not Document.PREPAYMENT) == Counter()


def test_what_is_given_up_is_bad_debt_until_it_is_paid(db, invoice):
    record_payment(db, STAFF, invoice.id, 430, "first")
    mark_uncollectible(db, STAFF, invoice.id, "Insolvent")
    assert of(all_of(db), Document.UNCOLLECTIBLE) == {BAD_DEBT: 1000, RECEIVABLE: -1000}
    record_payment(db, STAFF, invoice.id, 400, "second")
    sums = accounts(all_of(db))
    assert (sums[RECEIVABLE], sums[BAD_DEBT]) == (0, 600)


def test_tax_is_owed_and_comes_back_with_credit_notes_to_the_cent(db):
    tenant = old_tenant(db, "starter")
    collect_with_stripe(db, tenant)
    (draft,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    draft.tax_cents = 551
    issued = issue(db, draft, after(JANUARY))
    notes = [issue_credit_note(db, STAFF, issued.id, cents, "Outage") for cents in (1000, 1, 2449, 1)]
    assert [tax_in(db, note, issued) for note in notes] == [159, 0, 391, 1]
    sums = accounts(all_of(db))
    assert (sums[TAX], sums[RECEIVABLE], sums[CREDIT_NOTES]) == (0, 0, 2900)


def test_credit_that_was_paid_for_and_expires_is_revenue(db):
    tenant = old_tenant(db)
    for kind in (CreditKind.PREPAID, CreditKind.PROMOTION):
        grant_credit(db, STAFF, tenant.id, kind, 700, "USD", kind, at=on(1), expires_at=on(9))
    expire_credits(db, on(10))
    assert of(all_of(db), Document.CREDIT_EXPIRED) == {CUSTOMER_CREDITS: 700, EXPIRED_CREDITS: -700}


def test_what_stripe_took_too_much_is_stripes_cash(db):
    stripe = Actor(ActorKind.SYSTEM, None, "stripe")
    grant_credit(db, stripe, old_tenant(db).id, CreditKind.PREPAID, 700, "USD", "in_1 rest", at=on(1))
    assert accounts(all_of(db)) == {"cash:stripe": 700, CUSTOMER_CREDITS: -700}


def test_a_draft_is_not_in_the_books(db):
    collect_with_stripe(db, old_tenant(db, "starter"))
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    assert all_of(db) == []


def test_stretches_of_time_part_the_journal(db, invoice):
    pay(db, invoice)
    middle = after(JANUARY)
    parts = [
        *journal(db, BEGINNING, middle),
        *journal(db, middle, middle + timedelta.resolution),
        *journal(db, middle + timedelta.resolution, END),
    ]
    assert parts == all_of(db)
    assert {one.document for one in journal(db, BEGINNING, middle)} == {Document.PREPAYMENT}


def test_the_csv_has_debits_and_credits_that_sum_to_the_same(db, invoice):
    pay(db, invoice, "+4711", FEBRUARY.start)
    rows = list(csv.DictReader(io.StringIO(journal_csv(db, all_of(db)))))
    assert sum(int(row["debit_cents"]) for row in rows) == sum(int(row["credit_cents"]) for row in rows) > 0
    paid = next(row for row in rows if row["document"] == "payment")
    assert (paid["reference"], paid["value_date"]) == (f"{invoice.number}/+4711", "2025-02-01")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(1, 40_000_000)),
        st.tuples(st.just("grant"), st.integers(1, 4000), st.sampled_from(CreditKind), st.integers(0, 60)),
        st.tuples(st.just("close"), st.integers(0, 700)),
        st.tuples(st.just("pay"), st.integers(0, 5), st.integers(1, 4000)),
        st.tuples(st.just("credit"), st.integers(0, 5), st.integers(1, 4000), st.sampled_from(Remedy)),
        st.tuples(st.just("void"), st.integers(0, 5)),
        st.tuples(st.just("give up"), st.integers(0, 5)),
        st.tuples(st.just("expire")),
    ),
    min_size=6,
    max_size=24,
)


class Story:
    """A tenant's months, with whatever may happen to its money in them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tenant = old_tenant(session, "starter")
        collect_with_stripe(session, self.tenant, FEBRUARY)
        self.month = JANUARY
        self.made: list[Invoice] = []
        self._close(0)

    def play(self, number: int, step: str, *arguments: int | str) -> None:
        match step, arguments:
            case "use", (int(tokens),):
                use(self.session, self.tenant, self.month.start, tokens)
            case "grant", (int(cents), str(kind), int(days)):
                self._grant(str(number), CreditKind(kind), cents, days)
            case "close", (int(tax),):
                self._close(tax)
            case "expire", ():
                expire_credits(self.session, self.month.start)
            case _, (int(chosen), *rest):
                self._change(number, step, self.made[-1 - chosen % len(self.made)], *rest)

    def _grant(self, reference: str, kind: CreditKind, cents: int, days: int) -> None:
        at = self.month.start
        until = at + timedelta(days=days) if days else None
        grant_credit(
            self.session, STAFF, self.tenant.id, kind, cents, "USD", reference, at=at, expires_at=until
        )

    def _close(self, tax: int) -> None:
        at = after(self.month)
        for invoice in close_month(self.session, self.month, STAFF, at=at):
            if invoice.status is InvoiceStatus.DRAFT:
                invoice.tax_cents = tax
                issue(self.session, invoice, at)
            self.made.append(invoice)
        self.month = self.month.next

    def _change(self, number: int, step: str, invoice: Invoice, *rest: int | str) -> None:
        try:
            match step, rest:
                case "pay", (int(cents),):
                    part = min(cents, to_pay_cents(self.session, invoice))
                    record_payment(self.session, STAFF, invoice.id, part, str(number))
                case "credit", (int(cents), str(remedy)):
                    part = min(cents, creditable_cents(self.session, invoice))
                    issue_credit_note(self.session, STAFF, invoice.id, part, "Outage", Remedy(remedy))
                case "void", ():
                    void(self.session, STAFF, invoice.id, "Wrong")
                case "give up", ():
                    mark_uncollectible(self.session, STAFF, invoice.id, "Insolvent")
        except InvoiceStateError:
            pass  # what a status forbids has a test of its own


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_whatever_happens_documents_balance_and_accounts_agree_with_what_is_owed(services, steps):
    with operator_session("test") as session:
        story = Story(session)
        for number, (step, *arguments) in enumerate(steps):
            story.play(number, step, *arguments)
        check(session, story.tenant, story.made)
        session.rollback()


def check(session: Session, tenant: Tenant, made: list[Invoice]) -> None:
    postings = all_of(session)
    documents: Counter[tuple[Document, str, datetime, str]] = Counter()
    for one in postings:
        documents[one.document, one.reference, one.at, one.currency] += one.amount_cents
    assert set(documents.values()) <= {0}

    def owed(*statuses: InvoiceStatus) -> int:
        return sum(to_pay_cents(session, invoice) for invoice in made if invoice.status in statuses)

    assert find_unbalanced(session) == []
    for total in totals(session, made):
        parts = total.paid_cents, total.credited_cents, total.open_cents, total.uncollectible_cents
        assert sum(parts) == total.invoiced_cents
    sums = accounts(postings)
    assert sums[RECEIVABLE] == owed(InvoiceStatus.OPEN)
    assert sums[BAD_DEBT] == owed(InvoiceStatus.UNCOLLECTIBLE)
    paid_for = sum(
        one.balance_cents for one in list_credits(session, tenant.id) if one.grant.kind in PAID_FOR
    )
    # A grant of the kind that credit notes give has no document of its own where a test makes it by hand.
    by_hand = session.scalar(
        select(func.coalesce(func.sum(CreditGrant.amount_cents), 0)).where(
            CreditGrant.kind == CreditKind.CREDIT_NOTE, CreditGrant.reference.regexp_match(r"^\d+$")
        )
    )
    assert -sums[CUSTOMER_CREDITS] == paid_for - (by_hand or 0)
    received = session.scalar(select(func.coalesce(func.sum(Payment.amount_cents), 0))) or 0
    prepaid = -of(postings, Document.PREPAYMENT).get(CUSTOMER_CREDITS, 0)
    assert sum(cents for account, cents in sums.items() if account.startswith("cash:")) == received + prepaid
