"""Raw SQL as the app's role, in one tenant's transaction, against every table that has a tenant.

Two tenants have a row in each of them, made by the catalogue: a new table is tested by being there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import Error, InvalidTextRepresentation

from core.config import get_settings
from tests.isolation.catalogue import TENANTS, may, owned_tables

_OUT_OF_BOUNDS = "row-level security"


@pytest.fixture
def app(services) -> Iterator[psycopg.Connection]:
    """A connection of the app's role, outside of any code of ours."""
    with psycopg.connect(plain_url(get_settings().app_database_url), autocommit=True) as connection:
        yield connection


def plain_url(url: str) -> str:
    """Without the driver that SQLAlchemy is told."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


@contextmanager
def as_tenant(app, tenant_id) -> Iterator[psycopg.Cursor]:
    """A transaction of the tenant, which is rolled back."""
    with app.transaction(force_rollback=True), app.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),))
        yield cursor


def refusal(cursor, statement: sql.Composed, *values: object) -> str:
    """Why Postgres refused the statement; nothing where it did not. The transaction goes on either way."""
    try:
        with cursor.connection.transaction(force_rollback=True):
            cursor.execute(statement, values)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except Error as error:
        return str(error)
    return ""


def on(table: str, statement: str) -> sql.Composed:
    return sql.SQL(statement).format(table=sql.Identifier(table), key=sql.Identifier(_key(table)))


def _key(table: str) -> str:
    return "id" if table == TENANTS else "tenant_id"


def an_id_of(superuser, table: str, tenant_id: UUID) -> UUID:
    query = on(table, "SELECT id FROM {table} WHERE {key} = %s LIMIT 1")
    ((row_id,),) = superuser.execute(query, (tenant_id,)).fetchall()
    return row_id  # type: ignore[no-any-return]


@pytest.fixture
def tables(superuser) -> list[tuple[str, set[str]]]:
    """(table, what the app may do with it) of every table with a tenant."""
    return [(table, may(superuser, "adaptary_app", table)) for table in [*owned_tables(superuser), TENANTS]]


def theirs_of(superuser, table, theirs) -> list[tuple[object, ...]]:
    """The other tenant's rows as they are, and when each was written last."""
    return superuser.execute(  # type: ignore[no-any-return]
        on(table, "SELECT xmin::text, t::text FROM {table} t WHERE {key} = %s ORDER BY 2"), (theirs,)
    ).fetchall()


def test_both_tenants_have_a_row_in_every_table(superuser, tables, two_with_everything):
    for tenant_id in two_with_everything:
        for table, _ in tables:
            assert theirs_of(superuser, table, tenant_id), table


def test_a_query_of_whatever_kind_finds_the_tenants_own_rows_only(app, tables, two_with_everything):
    mine, theirs = two_with_everything
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            if "SELECT" not in rights:
                continue
            found = cursor.execute(on(table, "SELECT DISTINCT {key} FROM {table}")).fetchall()
            assert found == [(mine,)], table
            for query in (
                "SELECT 1 FROM {table} WHERE {key} = %s",
                "SELECT 1 FROM {table} WHERE {key} = %s OR true AND {key} = %s",
                "SELECT 1 FROM ONLY {table} WHERE {key} = ANY (ARRAY[%s]::uuid[])",
                "SELECT 1 FROM (TABLE {table}) t WHERE {key} = %s",
                "WITH t AS MATERIALIZED (SELECT * FROM {table}) SELECT 1 FROM t WHERE {key} = %s",
                "SELECT 1 FROM tenants a RIGHT JOIN {table} b ON a.id = b.{key} WHERE b.{key} = %s",
                "SELECT 1 FROM {table} TABLESAMPLE SYSTEM (100) WHERE {key} = %s",
            ):
                assert cursor.execute(on(table, query), (theirs,) * query.count("%s")).fetchall() == [], table


def test_rows_found_by_where_they_lie_are_the_tenants_own(app, superuser, tables, two_with_everything):
    mine, theirs = two_with_everything
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            places = superuser.execute(
                on(table, "SELECT ctid::text FROM {table} WHERE {key} = %s"), (theirs,)
            )
            for (place,) in places.fetchall() if "SELECT" in rights else ():
                query = on(table, "SELECT 1 FROM {table} WHERE ctid = %s::tid")
                assert cursor.execute(query, (place,)).fetchall() == [], table


def test_a_copy_of_a_table_holds_the_tenants_own_rows_only(app, tables, two_with_everything):
    mine, theirs = two_with_everything
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            if "SELECT" in rights:
                with cursor.copy(on(table, "COPY (SELECT {key} FROM {table}) TO STDOUT")) as copy:
                    copied = b"".join(copy)
                with cursor.copy(on(table, "COPY {table} TO STDOUT")) as copy:
                    copied += b"".join(copy)
                assert str(mine).encode() in copied, table
                assert str(theirs).encode() not in copied, table


def test_a_row_of_another_tenant_cannot_be_locked(app, tables, two_with_everything):
    mine, theirs = two_with_everything
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            if "UPDATE" in rights:
                for strength in ("UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"):
                    query = on(table, "SELECT 1 FROM {table} WHERE {key} = %s FOR " + strength)
                    assert cursor.execute(query, (theirs,)).fetchall() == [], table


def test_an_update_reaches_no_row_of_another_tenant(app, superuser, tables, two_with_everything):
    mine, theirs = two_with_everything
    for table, rights in tables:
        if "UPDATE" not in rights:
            continue
        before = theirs_of(superuser, table, theirs)
        with as_tenant(app, mine) as cursor:
            query = on(table, "UPDATE {table} SET {key} = {key} WHERE {key} = %s")
            assert cursor.execute(query, (theirs,)).rowcount == 0, table
            own = cursor.execute(on(table, "SELECT count(*) FROM {table}")).fetchone()
            everything = cursor.execute(on(table, "UPDATE {table} SET {key} = {key}"))
            assert (everything.rowcount,) == own, table
        assert theirs_of(superuser, table, theirs) == before, table


def test_a_row_cannot_be_given_to_another_tenant(app, tables, two_with_everything):
    mine, theirs = two_with_everything
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            if "UPDATE" in rights:
                query = on(table, "UPDATE {table} SET {key} = %s")
                assert _OUT_OF_BOUNDS in refusal(cursor, query, theirs), table


def test_a_deletion_reaches_no_row_of_another_tenant(app, superuser, tables, two_with_everything):
    mine, theirs = two_with_everything
    for table, rights in tables:
        if "DELETE" not in rights:
            continue
        before = theirs_of(superuser, table, theirs)
        with as_tenant(app, mine) as cursor:
            for query in (
                "DELETE FROM {table} WHERE {key} = %s",
                "DELETE FROM {table} USING tenants WHERE {key} = %s",
            ):
                assert cursor.execute(on(table, query), (theirs,)).rowcount == 0, table
        assert theirs_of(superuser, table, theirs) == before, table


def test_a_row_cannot_be_put_into_another_tenant(app, tables, two_with_everything):
    mine, theirs = two_with_everything
    copy = (
        "INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, to_jsonb(t) || "
        "jsonb_build_object('id', gen_random_uuid(), 'tenant_id', %s::text))).* FROM {table} t LIMIT 1"
    )
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            if "INSERT" in rights:
                assert _OUT_OF_BOUNDS in refusal(cursor, on(table, copy), str(theirs)), table


def test_a_conflict_with_another_tenants_row_does_not_open_it(app, superuser, tables, two_with_everything):
    mine, theirs = two_with_everything
    over = (
        "INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, to_jsonb(t) || "
        "jsonb_build_object('id', %s::text))).* FROM {table} t LIMIT 1 "
        "ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id RETURNING *"
    )
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            if {"INSERT", "UPDATE", "SELECT"} <= rights:
                before = theirs_of(superuser, table, theirs)
                assert refusal(cursor, on(table, over), str(an_id_of(superuser, table, theirs))), table
                assert theirs_of(superuser, table, theirs) == before, table


def test_rows_cannot_be_copied_in_past_the_policy(app, tables, two_with_everything):
    mine, _ = two_with_everything
    with as_tenant(app, mine) as cursor:
        for table, rights in tables:
            if "INSERT" in rights:
                assert _OUT_OF_BOUNDS in refusal(cursor, on(table, "COPY {table} FROM STDIN")), table


def test_a_reference_into_another_tenant_is_refused(app, superuser, tables, two_with_everything):
    """Foreign keys are checked past the policies: by the tenant that each of them holds."""
    mine, theirs = two_with_everything
    references = superuser.execute(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, (SELECT array_agg(attname) FROM pg_attribute "
        "WHERE attrelid = conrelid AND attnum = ANY (conkey) AND attname <> 'tenant_id') FROM pg_constraint "
        "WHERE contype = 'f' AND cardinality(conkey) = 2"
    ).fetchall()
    assert references
    rights = dict(tables)
    with as_tenant(app, mine) as cursor:
        for table, target, (column,) in references:
            if "UPDATE" in rights[table]:
                query = sql.SQL("UPDATE {} SET {} = %s").format(sql.Identifier(table), sql.Identifier(column))
                why = refusal(cursor, query, an_id_of(superuser, target, theirs))
                assert "violates" in why, f"{table}.{column} leads into another tenant's {target}"


def test_what_the_planner_knows_of_the_rows_is_not_the_tenants_to_read(
    app, superuser, tables, two_with_everything
):
    superuser.execute("ANALYZE")
    mine, _ = two_with_everything
    owned = [table for table, _ in tables]
    with as_tenant(app, mine) as cursor:
        for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
            query = sql.SQL("SELECT tablename FROM {} WHERE tablename = ANY (%s)").format(
                sql.Identifier(view)
            )
            assert cursor.execute(query, (owned,)).fetchall() == [], view
        assert "denied" in refusal(cursor, sql.SQL("SELECT 1 FROM pg_statistic").format())


def test_with_no_tenant_set_nothing_is_visible_and_nothing_can_be_written(app, tables, two_with_everything):
    with app.transaction(force_rollback=True), app.cursor() as cursor:
        for table, rights in tables:
            if "SELECT" in rights:
                assert cursor.execute(on(table, "SELECT 1 FROM {table}")).fetchall() == [], table
            if "UPDATE" in rights:
                assert cursor.execute(on(table, "UPDATE {table} SET {key} = {key}")).rowcount == 0, table
            if "DELETE" in rights:
                assert cursor.execute(on(table, "DELETE FROM {table}")).rowcount == 0, table


def test_a_tenant_that_is_none_sees_nothing(app, tables, two_with_everything):
    nobodies = ("", "' OR true --", "*", "00000000-0000-0000-0000-000000000000", "null")
    for value, (table, rights) in product(nobodies, tables):
        with app.transaction(force_rollback=True), app.cursor() as cursor:
            cursor.execute("SELECT set_config('app.tenant_id', %s, true)", (value,))
            try:
                seen = "SELECT" in rights and cursor.execute(on(table, "SELECT 1 FROM {table}")).fetchall()
            except InvalidTextRepresentation:
                seen = False
            assert not seen, (value, table)


def test_a_contracts_plan_and_its_prices_are_its_tenants_alone(app, superuser, two_with_everything):
    mine, theirs = two_with_everything
    superuser.execute(
        "INSERT INTO plans SELECT (jsonb_populate_record(NULL::plans, to_jsonb(p) || jsonb_build_object("
        "'code', 'theirs', 'contract_tenant_id', %s::text))).* FROM plans p WHERE code = 'trial'",
        (str(theirs),),
    )
    superuser.execute(
        "INSERT INTO plan_prices SELECT (jsonb_populate_record(NULL::plan_prices, to_jsonb(p) || jsonb_build_object("
        "'id', gen_random_uuid(), 'plan_code', 'theirs'))).* FROM plan_prices p WHERE plan_code = 'trial'"
    )
    for tenant_id, sees in ((mine, False), (theirs, True)):
        with as_tenant(app, tenant_id) as cursor:
            for query in (
                "SELECT 1 FROM plans WHERE code = 'theirs'",
                "SELECT 1 FROM plan_prices WHERE plan_code = 'theirs'",
            ):
                assert bool(cursor.execute(query).fetchall()) is sees, query
