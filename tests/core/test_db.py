"""Sessions: what happens around a commit, and what an error tells."""

import traceback

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.db import after_commit, operator_session, tenant_session
from core.models.datasets import Dataset
from core.tenancy import system_scope


@pytest.fixture
def session(make_tenant):
    with tenant_session(system_scope(make_tenant().id, "test")) as session:
        yield session


def add_dataset(session):
    session.add(Dataset(tenant_id=session.scope.tenant_id, name="a"))


def test_a_callback_runs_once_and_only_after_the_commit(session):
    calls = []
    add_dataset(session)
    after_commit(session, lambda: calls.append(1))
    session.flush()
    assert calls == []
    session.commit()
    assert calls == [1]
    session.commit()
    assert calls == [1]


def test_a_callback_of_a_rolled_back_transaction_never_runs(session):
    calls = []
    add_dataset(session)
    after_commit(session, lambda: calls.append(1))
    session.flush()
    session.rollback()
    session.commit()
    assert calls == []


def test_a_failing_callback_does_not_undo_the_commit(session):
    def fail():
        raise RuntimeError("the queue is down")

    add_dataset(session)
    after_commit(session, fail)
    session.commit()
    session.rollback()
    assert session.query(Dataset).count() == 1


@pytest.mark.usefixtures("services")
def test_an_operator_session_has_no_scope_and_needs_a_purpose():
    with operator_session("test") as session, pytest.raises(LookupError):
        _ = session.scope
    with pytest.raises(ValueError, match="purpose"), operator_session(""):
        pass


def test_an_error_tells_no_values(make_tenant):
    make_tenant()
    again = text(
        "INSERT INTO users (id, tenant_id, email, name, password_hash, role) "
        "SELECT gen_random_uuid(), tenant_id, email, name, password_hash, role FROM users"
    )
    with operator_session("test") as session, pytest.raises(IntegrityError) as refused:
        session.execute(again)
    told = "".join(traceback.format_exception(refused.value))
    assert "uq_users_email" in told
    assert "DETAIL" not in told
    assert "tenant.example" not in told
