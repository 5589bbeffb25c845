"""Group commit: who waits together is recorded together, and hears of its own facts only."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from billing.ledger import Fact, Usage, UsageConflict
from billing.recording import Recorder
from core.db import operator_session
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.tenancy import system_scope
from tests.world import build_world

A_REQUEST = Usage("request-1", UsageKind.PREDICTION, 120, UsageSource.API)


@pytest.fixture
def tenants(make_tenant):
    return [make_tenant().id for _ in range(3)]


def at_once(calls):
    """The results of calls that all begin together: their errors where they raise."""
    start = Barrier(len(calls))

    def run(call):
        start.wait()
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def recorded(tenant_id):
    with operator_session("test") as session:
        return session.execute(
            select(func.count(), func.coalesce(func.sum(UsageFact.quantity), 0)).where(
                UsageFact.tenant_id == tenant_id
            )
        ).one()


def test_what_many_requests_of_many_tenants_used_is_recorded_once_each(tenants):
    recorder = Recorder()
    facts = [
        Fact(tenant_id, replace(A_REQUEST, request_id=f"r{number}", quantity=number))
        for number in range(1, 41)
        for tenant_id in tenants
    ]
    results = at_once([lambda fact=fact: recorder.record([fact]) for fact in facts + facts[:24]])
    assert set(results) == {None}
    assert [tuple(recorded(tenant_id)) for tenant_id in tenants] == [(40, 820)] * 3


def test_a_request_that_the_database_refuses_takes_no_other_with_it(tenants):
    recorder = Recorder()
    good = [Fact(tenants[0], replace(A_REQUEST, request_id=f"r{number}")) for number in range(20)]
    bad = Fact(tenants[1], replace(A_REQUEST, model_id=uuid4()))
    results = at_once([lambda fact=fact: recorder.record([fact]) for fact in [*good[:10], bad, *good[10:]]])
    assert isinstance(results[10], IntegrityError)
    assert results[:10] + results[11:] == [None] * 20
    assert recorded(tenants[0])[0] == 20
    assert recorded(tenants[1])[0] == 0


def test_a_model_of_another_tenant_is_refused_though_the_commit_is_shared(tenants):
    theirs = build_world(system_scope(tenants[1], "test")).arguments["model_id"]
    assert isinstance(theirs, UUID)
    fact = Fact(tenants[0], replace(A_REQUEST, model_id=theirs))
    with pytest.raises(IntegrityError, match="fk_usage_facts"):
        Recorder().record([fact])


def test_a_conflict_is_told_to_the_request_that_has_it(tenants):
    recorder = Recorder()
    recorder.record([Fact(tenants[0], A_REQUEST)])
    wrong = Fact(tenants[0], replace(A_REQUEST, quantity=121))
    right = Fact(tenants[1], A_REQUEST)
    results = at_once([lambda: recorder.record([wrong]), lambda: recorder.record([right])])
    assert isinstance(results[0], UsageConflict)
    assert results[1] is None
    assert tuple(recorded(tenants[0])) == (1, 120)


def test_of_a_chat_with_a_conflict_nothing_is_recorded(tenants):
    recorder = Recorder()
    written = Fact(tenants[0], replace(A_REQUEST, kind=UsageKind.CHAT_OUTPUT))
    recorder.record([written])
    read = Fact(tenants[0], replace(A_REQUEST, kind=UsageKind.CHAT_INPUT))
    with pytest.raises(UsageConflict):
        recorder.record([read, Fact(tenants[0], replace(written.usage, quantity=121))])
    assert tuple(recorded(tenants[0])) == (1, 120)


def test_a_commit_that_is_cut_off_is_acknowledged_to_nobody(tenants, monkeypatch):
    def cut_off(*_):
        raise SystemExit

    monkeypatch.setattr("billing.recording.record_all", cut_off)
    with pytest.raises(SystemExit):
        Recorder().record([Fact(tenants[0], A_REQUEST)])
    assert recorded(tenants[0])[0] == 0


def test_both_facts_of_a_chat_are_recorded_or_neither(tenants):
    chat = [
        Fact(tenants[0], replace(A_REQUEST, kind=UsageKind.CHAT_INPUT)),
        Fact(tenants[0], replace(A_REQUEST, kind=UsageKind.CHAT_OUTPUT, model_id=uuid4())),
    ]
    with pytest.raises(IntegrityError):
        Recorder().record(chat)
    assert recorded(tenants[0])[0] == 0
