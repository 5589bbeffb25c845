"""The tenant's credits page: what is left, and which invoice drew how much."""

from datetime import timedelta

from billing.cancelling import void
from billing.close import close_month
from billing.credits import expire_credits, grant_credit, list_credits, list_entries
from billing.periods import Month
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.billing import Invoice
from core.models.credit_grants import CreditKind
from core.models.tenants import Tenant
from core.tenancy import Role
from tests.billing.months import STAFF, collect_with_stripe, use

LAST = Month.containing(now()).previous


def granted(person, cents: int, reference: str, expires_at=None) -> None:
    with operator_session("test") as session:
        grant_credit(
            session,
            STAFF,
            person.scope.tenant_id,
            CreditKind.PROMOTION,
            cents,
            "USD",
            reference,
            at=LAST.start,
            expires_at=expires_at,
        )
        session.commit()


def invoiced(person, by_stripe: bool = False) -> Invoice:
    """Last month's invoice, of 40 cents."""
    with operator_session("test") as session:
        tenant = session.get_one(Tenant, person.scope.tenant_id)
        if by_stripe:
            collect_with_stripe(session, tenant, LAST)
        use(session, tenant, LAST.start, 1_100_000)
        session.commit()
        (invoice,) = close_month(session, LAST, STAFF)
        session.commit()
    return invoice


def page(person) -> str:
    response = person.client.get("/credits")
    assert response.status_code == 200
    text: str = response.get_data(as_text=True)
    return text


def test_without_credits_the_page_says_where_they_come_from(admin):
    assert "No credits" in page(admin)


def test_a_credit_shows_what_is_left_and_which_invoice_drew_it(admin):
    granted(admin, 100, "Spring fair")
    invoice = invoiced(admin)
    shown = page(admin)
    for text in (
        "Left: $0.60",
        "Spring fair",
        f'href="/invoices/{invoice.id}">{invoice.number}</a>',
        "−$0.40",
    ):
        assert text in shown


def test_what_a_void_invoice_returned_is_an_entry_of_its_own(admin):
    granted(admin, 30, "Spring fair")
    invoice = invoiced(admin)
    with operator_session("test") as session:
        void(session, STAFF, invoice.id, "Not theirs")
        session.commit()
    shown = page(admin)
    for text in ("Left: $0.30", "Drawn by invoice", "Returned by invoice"):
        assert text in shown


def test_what_expired_is_an_entry_too(admin):
    granted(admin, 30, "Spring fair", expires_at=LAST.start + timedelta(days=1))
    with operator_session("test") as session:
        expire_credits(session)
        session.commit()
    shown = page(admin)
    assert "Left: $0.00" in shown
    assert shown.count("Expired") == 2


def test_a_draft_that_drew_credit_is_named_by_its_month(admin):
    granted(admin, 30, "Spring fair")
    invoiced(admin, by_stripe=True)
    assert f"Drawn by the invoice for {LAST.title}, which is being checked" in page(admin)


def test_what_is_left_of_each_credit_is_its_amount_and_its_entries(admin):
    granted(admin, 25, "Spring fair")
    granted(admin, 100, "Autumn fair")
    invoice = invoiced(admin)
    with tenant_session(admin.scope) as session:
        entries = list_entries(session, admin.scope.tenant_id)
        assert sum(entry.amount_cents for entry, _, _ in entries) == -invoice.credits_cents == -40
        for credit in list_credits(session, admin.scope.tenant_id):
            moved = sum(entry.amount_cents for entry, grant, _ in entries if grant.id == credit.grant.id)
            assert credit.balance_cents == credit.grant.amount_cents + moved


def test_finance_sees_credits_and_a_viewer_and_another_tenant_do_not(admin, member, other_admin):
    granted(admin, 100, "Spring fair")
    assert "Spring fair" in page(member(Role.FINANCE))
    assert member(Role.VIEWER).client.get("/credits").status_code == 403
    assert "Spring fair" not in page(other_admin)
