"""What the database's two roles may do, asked of the live database."""

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from core.db import app_engine, operator_engine
from core.models.all import Base
from core.models.base import TenantOwned

ENGINES = {"adaptary_app": app_engine, "adaptary_operator": operator_engine}
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
WRITE = {"SELECT", "INSERT", "UPDATE", "DELETE"}
TENANT_OWNED = {
    str(mapper.local_table) for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantOwned)
}

# Whoever takes the app over cannot cover their tracks, hand out weights of their own making for a job's, change what
# is owed, or free a suspended tenant.
APPS_LESSER_RIGHTS = {
    "tenants": {"SELECT"},
    "audit_events": {"SELECT", "INSERT"},
    "usage_facts": {"SELECT", "INSERT"},
    "privacy_policies": {"SELECT", "INSERT"},
    "adapters": {"SELECT", "INSERT"},
    "subscriptions": {"SELECT"},
    "invoices": {"SELECT"},
    "invoice_lines": {"SELECT"},
    "plans": {"SELECT"},
    "plan_prices": {"SELECT"},
    "staff": set(),
    "staff_events": set(),
    "invoice_counters": set(),
    "alembic_version": set(),
}
APPEND_ONLY = ("audit_events", "staff_events", "usage_facts", "invoice_lines")

pytestmark = pytest.mark.usefixtures("services")


def rights(role: str) -> dict[str, set[str]]:
    """By table, what `role` may do with every column of it."""
    may = text("SELECT has_table_privilege(:role, :table, :verb)")
    with app_engine().connect() as connection:
        return {
            table: {
                verb for verb in VERBS if connection.scalar(may, {"role": role, "table": table, "verb": verb})
            }
            for table in inspect(connection).get_table_names()
        }


def test_the_app_may_do_no_more_than_it_needs():
    for table, may in rights("adaptary_app").items():
        most = WRITE if table in TENANT_OWNED else {"SELECT"}
        assert may <= APPS_LESSER_RIGHTS.get(table, most), table


@pytest.mark.parametrize("role", ENGINES)
def test_what_was_noted_stays(role):
    may = rights(role)
    for table in APPEND_ONLY:
        assert may[table] <= {"SELECT", "INSERT"}, table


@pytest.mark.parametrize("role", ENGINES)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "ALTER TABLE api_keys DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON api_keys",
        "ALTER TABLE api_keys OWNER TO CURRENT_USER",
        "TRUNCATE users",
        "SET ROLE adaptary_owner",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "CREATE ROLE another LOGIN",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY users TO PROGRAM 'cat'",
        "CREATE EXTENSION dblink",
    ],
)
def test_a_role_cannot_give_itself_more(role, statement):
    with (
        ENGINES[role]().connect() as connection,
        pytest.raises(DBAPIError, match=r"denied|must be|Only roles"),
    ):
        connection.execute(text(statement))


def test_the_app_cannot_become_the_operator():
    with app_engine().connect() as connection, pytest.raises(DBAPIError, match="denied"):
        connection.execute(text("SET ROLE adaptary_operator"))
    with app_engine().connect() as connection, pytest.raises(DBAPIError, match="denied"):
        connection.execute(text("ALTER ROLE CURRENT_USER BYPASSRLS"))
