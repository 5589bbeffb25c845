"""What one request leaves on its connection to the database does not reach the next, which may be another tenant's."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core import api_keys
from core.db import app_engine, operator_engine, tenant_connection, tenant_session
from core.tenancy import system_scope

SEEN = text("SELECT count(*) FROM api_keys")
SET = text("SELECT set_config('app.tenant_id', :id, false)")


@pytest.fixture
def tenant_id(make_tenant):
    """A tenant with a key, and a pool whose next two checkouts get one and the same connection."""
    tenant = make_tenant()
    with tenant_session(system_scope(tenant.id, "test")) as session:
        api_keys.create(session, session.scope, "test")
        session.commit()
    app_engine().dispose()
    return tenant.id


def leave(*statements: str, **values: object) -> int:
    """Run the statements on a connection and commit; the connection's process."""
    with app_engine().connect() as connection:
        for statement in statements:
            connection.execute(text(statement), values if ":id" in statement else {})
        connection.commit()
        process: int = connection.scalar(text("SELECT pg_backend_pid()"))
        return process


def find(query: str, process: int) -> object:
    """What a query tells the one who gets the connection next."""
    with app_engine().connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == process, (
            "the pool has another connection"
        )
        return connection.scalar(text(query))


@pytest.mark.parametrize(
    "left",
    [
        "SELECT set_config('app.tenant_id', :id, false)",
        "SELECT set_config('app.tenant_id', :id, false), set_config('role', 'adaptary_app', false)",
        "SELECT set_config('app.tenant_id', :id, false), set_config('row_security', 'off', false)",
    ],
)
def test_a_sessions_setting(tenant_id, left):
    process = leave(left, id=str(tenant_id))
    assert find("SELECT count(*) FROM api_keys", process) == 0


def test_a_setting_made_in_a_savepoint(tenant_id):
    process = leave("SAVEPOINT one", SET.text, "RELEASE one", id=str(tenant_id))
    assert find("SELECT count(*) FROM api_keys", process) == 0


def test_a_setting_of_a_transaction_that_is_cut_off(tenant_id):
    with app_engine().connect() as connection:
        connection.execute(SET, {"id": str(tenant_id)})
        process = connection.scalar(text("SELECT pg_backend_pid()"))
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT 1 / 0"))
    assert find("SELECT count(*) FROM api_keys", process) == 0


def test_a_default_of_the_role_cannot_be_made(tenant_id):
    """It would be in force on every connection to come."""
    with pytest.raises(DBAPIError, match="denied"):
        leave(f"ALTER ROLE CURRENT_USER SET app.tenant_id = '{tenant_id}'")


def test_rows_of_a_cursor_that_outlives_its_transaction(tenant_id):
    process = leave(SET.text, "DECLARE held CURSOR WITH HOLD FOR SELECT * FROM api_keys", id=str(tenant_id))
    assert find("SELECT count(*) FROM pg_cursors", process) == 0


def test_a_prepared_statement_reads_as_whoever_runs_it(tenant_id):
    process = leave(
        SET.text, "PREPARE theirs AS SELECT count(*) FROM api_keys", "EXECUTE theirs", id=str(tenant_id)
    )
    assert find("EXECUTE theirs", process) == 0


def test_a_temporary_table(tenant_id):
    process = leave(SET.text, "CREATE TEMP TABLE copied AS SELECT * FROM api_keys", id=str(tenant_id))
    assert find("SELECT count(*) FROM pg_class WHERE relname = 'copied'", process) == 0


def test_a_temporary_table_cannot_stand_in_for_one_of_ours(tenant_id):
    process = leave(
        "CREATE TEMP TABLE api_keys AS SELECT 1 AS id", "GRANT SELECT ON pg_temp.api_keys TO PUBLIC"
    )
    assert find("SELECT 'api_keys'::regclass::oid = 'public.api_keys'::regclass::oid", process) is True


def test_a_channel_that_is_listened_to(tenant_id):
    process = leave("LISTEN theirs")
    assert find("SELECT count(*) FROM pg_listening_channels()", process) == 0


def test_a_lock_that_is_held_for_the_session(tenant_id):
    process = leave("SELECT pg_advisory_lock(1)")
    assert (
        find("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", process)
        == 0
    )


def test_a_search_path(tenant_id):
    process = leave("SET search_path = pg_catalog")
    assert "public" in str(find("SHOW search_path", process))


def test_the_operators_connections_are_cleaned_too(make_tenant):
    make_tenant()
    operator_engine().dispose()
    with operator_engine().connect() as connection:
        connection.execute(text("CREATE TEMP TABLE copied AS SELECT * FROM users"))
        connection.execute(text("DECLARE held CURSOR WITH HOLD FOR SELECT * FROM users"))
        connection.commit()
        process = connection.scalar(text("SELECT pg_backend_pid()"))
    with operator_engine().connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == process
        assert connection.scalar(text("SELECT count(*) FROM pg_class WHERE relname = 'copied'")) == 0
        assert connection.scalar(text("SELECT count(*) FROM pg_cursors")) == 0


def test_a_tenants_session_forgets_its_tenant_at_every_end_of_a_transaction(tenant_id):
    with tenant_session(system_scope(tenant_id, "test")) as session:
        for end in (session.commit, session.rollback):
            assert session.scalar(SEEN) == 1
            end()
            assert session.scalar(SEEN) == 1
        process = session.scalar(text("SELECT pg_backend_pid()"))
    assert find("SELECT current_setting('app.tenant_id', true)", process) in (None, "")


def test_a_savepoint_that_is_rolled_back_leaves_the_tenant_as_it_was(tenant_id, make_tenant):
    other = make_tenant()
    with tenant_session(system_scope(tenant_id, "test")) as session:
        nested = session.begin_nested()
        session.execute(text("SELECT set_config('app.tenant_id', :id, true)"), {"id": str(other.id)})
        nested.rollback()
        assert session.scalar(SEEN) == 1


def test_to_reset_everything_leaves_no_tenant_rather_than_another(tenant_id):
    with tenant_connection(system_scope(tenant_id, "test")) as connection:
        assert connection.scalar(SEEN) == 1
        connection.execute(text("RESET ALL"))
        assert connection.scalar(SEEN) == 0


def test_statements_in_flight_show_no_values(tenant_id):
    """Every tenant's connections are of one role, which sees its own statements in pg_stat_activity."""
    with app_engine().connect() as connection, app_engine().connect() as watching:
        connection.execute(SET, {"id": str(tenant_id)})
        process = connection.scalar(text("SELECT pg_backend_pid()"))
        connection.execute(text("SELECT :id"), {"id": "Ada Lovelace"})
        shown = watching.scalar(text("SELECT query FROM pg_stat_activity WHERE pid = :pid"), {"pid": process})
    assert "$1" in str(shown)
    assert "Ada" not in str(shown)
