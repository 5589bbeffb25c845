"""Corrections: a wrong fact stays, and one beside it takes back all that it counted and cost."""

import threading
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from billing.bills import tenant_bill
from billing.close import close_month
from billing.corrections import CorrectionError, FactNotFound, reverse
from billing.usage import month_usage
from core.db import operator_session
from core.models.audit import AuditEvent, StaffEvent
from core.models.billing import InvoiceLine
from core.models.usage import UsageFact
from tests.billing.months import FEBRUARY, JANUARY, MARCH, STAFF, after, old_tenant, on, use


@pytest.fixture
def tenant(db):
    return old_tenant(db, "trial")


def a_fact(db, tenant, quantity=1_100_000):
    use(db, tenant, on(3), quantity)
    return db.scalars(select(UsageFact).filter_by(tenant_id=tenant.id, occurred_at=on(3))).one()


def take_back(db, tenant, fact, reason="Sent twice by our own mistake"):
    return reverse(db, STAFF, tenant.id, fact.id, reason)


def test_a_reversed_request_costs_and_counts_nothing(db, tenant):
    fact = a_fact(db, tenant)
    take_back(db, tenant, fact)
    usage = month_usage(db, tenant.id, JANUARY)
    assert (usage.bill.lines, usage.is_empty) == ([], True)
    assert db.scalar(select(func.sum(UsageFact.inputs)).where(UsageFact.tenant_id == tenant.id)) == 0


def test_it_keeps_the_fact_and_says_what_it_reverses_and_why(db, tenant):
    fact = a_fact(db, tenant)
    reversal = take_back(db, tenant, fact, "  A load test  ")
    assert (reversal.quantity, reversal.inputs) == (-1_100_000, -1)
    assert (reversal.reverses_id, reversal.reason) == (fact.id, "A load test")
    assert (reversal.occurred_at, reversal.source) == (fact.occurred_at, fact.source)


def test_after_the_invoice_the_next_one_gives_back_what_it_cost(db, tenant):
    use(db, tenant, on(2), 100_000)  # takes the quota
    fact = a_fact(db, tenant, 1_000_000)
    (invoice,) = close_month(db, JANUARY, STAFF, at=after(JANUARY))
    take_back(db, tenant, fact)
    assert invoice.total_cents == 40
    (line,) = tenant_bill(db, tenant.id, FEBRUARY).lines
    assert (line.late, line.rated.quantity, line.rated.included_quantity) == (True, -1_000_000, 0)
    assert line.amount_cents == -40
    close_month(db, FEBRUARY, STAFF, at=after(FEBRUARY))
    assert db.scalar(select(func.sum(InvoiceLine.amount_cents))) == 0
    assert tenant_bill(db, tenant.id, MARCH).lines == []


def test_the_quota_that_it_took_is_free_again(db, tenant):
    fact = a_fact(db, tenant, 100_000)
    use(db, tenant, on(4), 1_000_000)
    close_month(db, JANUARY, STAFF, at=after(JANUARY))
    take_back(db, tenant, fact)
    (line,) = tenant_bill(db, tenant.id, FEBRUARY).lines
    assert (line.rated.quantity, line.rated.billable_quantity, line.amount_cents) == (-100_000, -100_000, -4)


def test_a_fact_is_reversed_once_though_two_ask_at_the_same_time(services):
    with operator_session("test") as db:
        tenant = old_tenant(db, "trial")
        fact_id, tenant_id = a_fact(db, tenant).id, tenant.id
        db.commit()
    outcomes, both_there = [], threading.Barrier(2)

    def ask():
        with operator_session("test") as db:
            both_there.wait()
            try:
                reverse(db, STAFF, tenant_id, fact_id, "Twice")
                db.commit()
                outcomes.append("reversed")
            except CorrectionError as error:
                outcomes.append(str(error).split(" is ")[1])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["reversed", "reversed already."]


@pytest.mark.parametrize("reason", ["", " \n", "x" * 301])
def test_it_wants_a_reason(db, tenant, reason):
    with pytest.raises(CorrectionError, match="Say why"):
        take_back(db, tenant, a_fact(db, tenant), reason)


def test_a_reversal_is_not_reversed(db, tenant):
    reversal = take_back(db, tenant, a_fact(db, tenant))
    with pytest.raises(CorrectionError, match="A reversal stays"):
        take_back(db, tenant, reversal)


def test_another_tenants_fact_is_not_found(db, tenant):
    fact = a_fact(db, old_tenant(db))
    with pytest.raises(FactNotFound):
        take_back(db, tenant, fact)
    with pytest.raises(FactNotFound):
        reverse(db, STAFF, tenant.id, uuid4(), "None")


def test_it_is_in_both_logs_and_who_did_it_in_the_operators_alone(db, tenant):
    take_back(db, tenant, a_fact(db, tenant))
    event = db.scalars(select(AuditEvent).where(AuditEvent.action == "usage.reversed")).one()
    staff_event = db.scalars(select(StaffEvent).where(StaffEvent.action == "usage.reversed")).one()
    assert (event.actor_label, staff_event.actor_label) == ("operator", STAFF.label)
    assert staff_event.detail["tokens"] == 1_100_000
