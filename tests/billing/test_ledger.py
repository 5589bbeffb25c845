"""The ledger: a fact is there exactly once, and stays as it is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from billing.ledger import MAX_QUANTITY, Usage, UsageConflict, record
from core.db import operator_session, tenant_session
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.tenancy import TenantScope, system_scope

A_REQUEST = Usage("request-1", UsageKind.PREDICTION, 120, UsageSource.API)


@pytest.fixture
def scope(make_tenant) -> TenantScope:
    return system_scope(make_tenant().id, "test")


def record_and_commit(scope: TenantScope, usage: Usage) -> bool:
    with tenant_session(scope) as session:
        added = record(session, scope.tenant_id, usage)
        session.commit()
    return added


def quantities(scope: TenantScope) -> list[int]:
    with tenant_session(scope) as session:
        return list(session.scalars(select(UsageFact.quantity).order_by(UsageFact.quantity)))


def test_a_request_that_is_repeated_is_recorded_once(scope):
    assert record_and_commit(scope, A_REQUEST) is True
    assert record_and_commit(scope, A_REQUEST) is False
    assert quantities(scope) == [120]


def test_of_many_that_record_a_request_at_once_one_does(scope):
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda _: record_and_commit(scope, A_REQUEST), range(16)))
    assert sum(added) == 1
    assert quantities(scope) == [120]


def test_another_quantity_for_the_same_request_is_a_conflict_that_names_both(scope):
    record_and_commit(scope, A_REQUEST)
    with pytest.raises(UsageConflict, match=r"request-1 is recorded with 120 tokens, not 121"):
        record_and_commit(scope, replace(A_REQUEST, quantity=121))
    assert quantities(scope) == [120]


def test_a_request_and_a_training_run_may_share_an_id(scope):
    record_and_commit(scope, A_REQUEST)
    assert record_and_commit(scope, replace(A_REQUEST, kind=UsageKind.TRAINING, quantity=7))
    assert quantities(scope) == [7, 120]


def test_two_tenants_may_share_an_id(scope, make_tenant):
    record_and_commit(scope, A_REQUEST)
    other = system_scope(make_tenant().id, "test")
    assert record_and_commit(other, replace(A_REQUEST, quantity=5))
    assert (quantities(scope), quantities(other)) == ([120], [5])


def test_what_is_not_committed_is_not_recorded(scope):
    with tenant_session(scope) as session:
        record(session, scope.tenant_id, A_REQUEST)
    assert quantities(scope) == []


def test_usage_cannot_be_recorded_for_another_tenant(scope, make_tenant):
    with tenant_session(scope) as session, pytest.raises(ProgrammingError, match="row-level security"):
        record(session, make_tenant().id, A_REQUEST)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE usage_facts SET quantity = 0", "DELETE FROM usage_facts", "TRUNCATE usage_facts"],
)
@pytest.mark.parametrize("role", ["app", "operator"])
def test_nobody_alters_or_deletes_a_fact(scope, statement, role):
    record_and_commit(scope, A_REQUEST)
    session_of = tenant_session(scope) if role == "app" else operator_session("test")
    with session_of as session, pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text(statement))
    assert quantities(scope) == [120]


def test_a_tenant_cannot_be_deleted_together_with_what_it_used(scope):
    record_and_commit(scope, A_REQUEST)
    with operator_session("test") as session, pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text("DELETE FROM tenants WHERE id = :id"), {"id": scope.tenant_id})
    assert quantities(scope) == [120]


def test_the_largest_quantity_is_kept_exactly(scope):
    for number in range(2):
        record_and_commit(scope, replace(A_REQUEST, request_id=f"large-{number}", quantity=MAX_QUANTITY))
    with tenant_session(scope) as session:
        assert session.scalar(select(func.sum(UsageFact.quantity))) == 2 * MAX_QUANTITY


@pytest.mark.parametrize("quantity", [-1, MAX_QUANTITY + 1])
def test_a_quantity_that_the_ledger_cannot_hold_is_refused(quantity):
    with pytest.raises(ValueError, match="whole number"):
        replace(A_REQUEST, quantity=quantity)


@pytest.mark.parametrize("request_id", ["", "x" * 65])
def test_a_request_id_that_the_ledger_cannot_hold_is_refused(request_id):
    with pytest.raises(ValueError, match="request id"):
        replace(A_REQUEST, request_id=request_id)


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        replace(A_REQUEST, request_id=str(uuid4()), occurred_at=datetime(2025, 1, 1))
