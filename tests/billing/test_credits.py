"""Credits: granted once, drawn in their order, given back, expired, and never below zero."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from billing.cancelling import void
from billing.close import close_month
from billing.credits import (
    CreditError,
    expire_credits,
    grant_credit,
    list_credits,
    spendable_cents,
)
from billing.invoices import to_pay_cents
from core.db import operator_session
from core.models.audit import AuditEvent, StaffEvent
from core.models.billing import Invoice, InvoiceStatus
from core.models.credit_grants import CreditEntry, CreditGrant, CreditKind
from core.models.tenants import Tenant
from tests.billing.months import APRIL, FEBRUARY, JANUARY, MARCH, STAFF, after, old_tenant, on

FIRST = on(1)


@pytest.fixture
def tenant(db) -> Tenant:
    """One that owes $29 a month."""
    return old_tenant(db, "starter")


def give(
    session: Session,
    tenant: Tenant,
    cents: int,
    kind: CreditKind = CreditKind.PREPAID,
    *,
    at: datetime = FIRST,
    until: datetime | None = None,
    reference: str = "",
    currency: str = "USD",
) -> CreditGrant:
    name = reference or f"{kind} {cents} {at} {until}"
    return grant_credit(session, STAFF, tenant.id, kind, cents, currency, name, at=at, expires_at=until)


def left(session: Session, tenant: Tenant) -> dict[str, int]:
    return {one.grant.reference: one.balance_cents for one in list_credits(session, tenant.id)}


def close(session: Session, month=JANUARY) -> Invoice:
    (invoice,) = close_month(session, month, STAFF, at=after(month))
    return invoice


def test_an_invoice_draws_what_there_is_and_asks_for_the_rest(db, tenant):
    give(db, tenant, 1000)
    invoice = close(db)
    assert (invoice.credits_cents, to_pay_cents(db, invoice)) == (1000, 1900)
    assert spendable_cents(list_credits(db, tenant.id), "USD") == 0


def test_what_an_invoice_leaves_is_for_the_next(db, tenant):
    give(db, tenant, 4000)
    first, second = close(db), close(db, FEBRUARY)
    assert (first.credits_cents, second.credits_cents) == (2900, 1100)
    assert (first.status, second.status) == (InvoiceStatus.PAID, InvoiceStatus.OPEN)


def test_soonest_expiry_goes_first_then_what_was_given_then_the_oldest(db, tenant):
    give(db, tenant, 700, CreditKind.CREDIT_NOTE, reference="note")
    give(db, tenant, 700, CreditKind.PREPAID, at=on(2), reference="younger")
    give(db, tenant, 700, CreditKind.PREPAID, at=on(1), reference="older")
    give(db, tenant, 700, CreditKind.PROMOTION, at=on(3), reference="promotion")
    give(db, tenant, 700, CreditKind.PREPAID, until=on(1, APRIL), reference="expiring")
    close(db)
    drawn = {"expiring": 0, "promotion": 0, "older": 0, "younger": 0, "note": 600}
    assert list(left(db, tenant).items()) == list(drawn.items())


@pytest.mark.parametrize(
    "unusable",
    [
        {"until": FEBRUARY.start - timedelta.resolution},
        {"at": after(JANUARY) + timedelta(seconds=1)},
        {"currency": "EUR"},
    ],
)
def test_credit_that_expired_or_is_not_there_yet_or_of_another_currency_is_not_drawn(db, tenant, unusable):
    give(db, tenant, 1000, **unusable)
    assert close(db).credits_cents == 0


def test_credit_that_lasts_to_the_end_of_a_month_pays_for_that_month(db, tenant):
    give(db, tenant, 1000, until=FEBRUARY.start)
    assert close(db).credits_cents == 1000


def test_a_void_invoice_gives_its_credits_back(db, tenant):
    give(db, tenant, 1000, reference="first")
    give(db, tenant, 500, CreditKind.TRIAL, reference="trial")
    invoice = close(db)
    assert left(db, tenant) == {"trial": 0, "first": 0}
    void(db, STAFF, invoice.id, "Wrong")
    assert left(db, tenant) == {"trial": 500, "first": 1000}
    assert close(db, FEBRUARY).credits_cents == 1500


def test_what_expires_is_taken_once(db, tenant):
    give(db, tenant, 1000, until=on(20), reference="short")
    give(db, tenant, 100, reference="long")
    assert expire_credits(db, on(19)) == 0
    assert [expire_credits(db, on(20)) for _ in range(2)] == [1, 0]
    assert left(db, tenant) == {"short": 0, "long": 100}


def test_granting_again_by_a_reference_does_nothing(db, tenant):
    assert give(db, tenant, 1000, reference="x").id == give(db, tenant, 1000, reference="x").id
    with pytest.raises(CreditError, match="“x” stands for another credit"):
        give(db, tenant, 1001, reference="x")
    assert left(db, tenant) == {"x": 1000}


def test_credit_that_makes_no_sense_is_refused(db, tenant):
    refused: list[tuple[Callable[[], CreditGrant], str]] = [
        (lambda: give(db, tenant, 0), "at least one cent"),
        (lambda: give(db, tenant, 1, until=on(1)), "cannot expire before"),
        (lambda: give(db, tenant, 1, reference="x" * 121), "1 to 120 characters"),
    ]
    for action, message in refused:
        with pytest.raises(CreditError, match=message):
            action()


def test_a_grant_is_in_both_logs(db, tenant):
    give(db, tenant, 1000, reference="Transfer 9")
    event = db.scalars(select(AuditEvent).where(AuditEvent.action == "credit.granted")).one()
    staff_event = db.scalars(select(StaffEvent).where(StaffEvent.action == "credit.granted")).one()
    assert (event.actor_label, staff_event.actor_label) == ("operator", STAFF.label)
    assert event.detail["amount_cents"] == 1000


@pytest.mark.parametrize(
    "statement", ["UPDATE credit_grants SET amount_cents = 1", "DELETE FROM credit_entries"]
)
def test_nobody_alters_what_was_granted_or_drawn(db, tenant, statement):
    give(db, tenant, 1000)
    with pytest.raises(ProgrammingError, match="permission denied"):
        db.execute(text(statement))


def test_invoices_and_expiry_at_once_never_draw_more_than_there_is(services):
    with operator_session("test") as session:
        tenant = old_tenant(session, "starter")
        give(session, tenant, 5000, until=on(1, APRIL))
        months = (JANUARY, FEBRUARY, MARCH)
        for month in months:
            close_month(session, month, STAFF, at=after(month))
        session.commit()

    def expire(_number: int) -> int:
        with operator_session("test") as session:
            ended = expire_credits(session, on(2, APRIL))
            session.commit()
        return ended

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(expire, range(4))) == 0  # all of it is drawn

    def take_back(invoice: Invoice) -> None:
        with operator_session("test") as session:
            void(session, STAFF, invoice.id, "Wrong")
            session.commit()

    with operator_session("test") as session:
        open_one = session.scalars(select(Invoice).where(Invoice.status == InvoiceStatus.OPEN)).all()
    with ThreadPoolExecutor(4) as threads:
        voided = [threads.submit(take_back, invoice) for invoice in open_one]
        ended = [threads.submit(expire, number) for number in range(3)]
        assert sum(one.result() for one in ended) <= len(voided)
    expire(0)
    with operator_session("test") as session:
        assert set(left(session, tenant).values()) == {0}


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("grant"),
            st.integers(1, 6000),
            st.sampled_from(CreditKind),
            st.one_of(st.none(), st.integers(2, 90)),
        ),
        st.tuples(st.just("close")),
        st.tuples(st.just("void")),
        st.tuples(st.just("expire")),
    ),
    min_size=4,
    max_size=16,
)


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_no_story_draws_a_grant_below_zero(services, steps):
    with operator_session("test") as session:
        tenant = old_tenant(session, "starter")
        month = JANUARY
        made: list[Invoice] = []
        for number, (step, *arguments) in enumerate(steps):
            if step == "grant":
                cents, kind, days = arguments
                until = None if days is None else on(1) + timedelta(days=days)
                at = min(month.start, until - timedelta(days=1)) if until else month.start
                give(session, tenant, cents, kind, at=at, until=until, reference=str(number))
            elif step == "close":
                made += close_month(session, month, STAFF, at=after(month))
                month = month.next
            elif step == "expire":
                expire_credits(session, month.start)
            elif any(one.status is InvoiceStatus.OPEN for one in made):
                void(
                    session, STAFF, next(one.id for one in made if one.status is InvoiceStatus.OPEN), "Wrong"
                )
            check(session, tenant, made)
        session.rollback()


def check(session: Session, tenant: Tenant, made: list[Invoice]) -> None:
    for credit in list_credits(session, tenant.id):
        assert 0 <= credit.balance_cents <= credit.grant.amount_cents
    for invoice in made:
        entered = session.scalar(
            select(func.coalesce(func.sum(CreditEntry.amount_cents), 0)).where(
                CreditEntry.invoice_id == invoice.id
            )
        )
        assert entered == (0 if invoice.status is InvoiceStatus.VOID else -invoice.credits_cents)
        assert 0 <= invoice.credits_cents <= max(0, invoice.total_cents)
        assert to_pay_cents(session, invoice) >= 0
