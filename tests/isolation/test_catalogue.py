"""Row-level security as the live database has it: what is not in order here is open to every tenant."""

import pytest

from tests.isolation.catalogue import OPERATORS, PUBLISHED, ROLES, TENANTS, may, owned_tables, relations

_OWN = "({column} = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)"

CONTRACTS_OWN = {
    "plans": "((contract_tenant_id IS NULL) OR "
    "(contract_tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid))",
    "plan_prices": "(EXISTS ( SELECT\n   FROM plans\n  WHERE ((plans.code)::text = (plan_prices.plan_code)::text)))",
}
"""What a tenant sees of the published tables that not all of them may see whole."""

DEFINERS = {"destroy_tenant_rows(uuid)"}
"""Functions that do more than whoever calls them may: a decision about isolation each."""

LOOSE_IDS = {
    "audit_events.actor_id": "a user, an API key or one of the operator's staff: history, which outlives them",
    "fine_tune_jobs.lease_token": "drawn anew by each worker that takes the job: nothing has it as its id",
    "tenant_deletions.requested_by_id": "a user or one of the operator's staff, and stays after either is gone",
}
"""Ids in a tenant's rows that no foreign key holds inside of the tenant, and why that is no way out."""


@pytest.fixture
def catalogue(superuser):
    """`catalogue(query)`: the query's rows, of the live database's catalogue."""
    return lambda query: superuser.execute(query).fetchall()


def test_every_relation_is_a_table_of_a_kind_that_is_known(superuser):
    for it in relations(superuser):
        assert it.kind == "r", f"{it.name}: a view or the like shows what its owner sees"
        known = it.has_tenant or it.name in {TENANTS, *PUBLISHED, *OPERATORS}
        assert known, f"{it.name}: give it a tenant, or say in tests/isolation/catalogue.py why it has none"


def test_row_level_security_is_forced_wherever_there_is_a_tenant(superuser):
    for it in relations(superuser):
        if it.has_tenant or it.name == TENANTS or it.name in CONTRACTS_OWN:
            assert it.secured, it.name
            assert it.forced, f"{it.name}: its owner is not bound"


def test_no_role_of_the_app_owns_anything(catalogue):
    owned = catalogue(
        "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) IN ('adaptary_app', 'adaptary_operator') UNION ALL "
        "SELECT proname FROM pg_proc WHERE pg_get_userbyid(proowner) IN ('adaptary_app', 'adaptary_operator') UNION ALL "
        "SELECT nspname FROM pg_namespace WHERE pg_get_userbyid(nspowner) IN ('adaptary_app', 'adaptary_operator')"
        " UNION ALL "
        "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) IN ('adaptary_app', 'adaptary_operator')"
    )
    assert owned == []


def test_one_policy_reads_and_writes_the_transactions_tenant_and_no_other(superuser):
    policies = superuser.execute(
        "SELECT polrelid::regclass::text, polpermissive, polcmd::text, polroles::oid[] = '{0}', "
        "pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy"
    ).fetchall()
    expected = {table: _OWN.format(column="tenant_id") for table in owned_tables(superuser)}
    expected[TENANTS] = _OWN.format(column="id")
    assert sorted(policies) == sorted(
        [(table, True, "*", True, rule, rule) for table, rule in expected.items()]
        + [(table, True, "*", True, rule, None) for table, rule in CONTRACTS_OWN.items()]
    )


def test_no_policy_reads_who_connects_or_calls_a_function_of_ours(catalogue):
    called = catalogue(
        "SELECT DISTINCT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid "
        "WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_proc'::regclass AND p.oid >= 16384"
    )
    assert called == []


def test_the_apps_roles_have_no_powers_but_the_operators_one(catalogue):
    roles = catalogue(
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolinherit, rolbypassrls FROM pg_roles "
        "WHERE rolname IN ('adaptary_app', 'adaptary_operator') ORDER BY rolname"
    )
    assert roles == [
        ("adaptary_app", False, False, False, False, False, False),
        ("adaptary_operator", False, False, False, False, False, True),
    ]


def test_the_apps_roles_are_members_of_no_other(catalogue):
    assert (
        catalogue(
            "SELECT member::regrole, roleid::regrole FROM pg_auth_members "
            "WHERE member::regrole::text IN ('adaptary_app', 'adaptary_operator')"
        )
        == []
    )


def test_the_owner_is_no_superuser(catalogue):
    owners = catalogue(
        "SELECT DISTINCT r.rolname, r.rolsuper FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
        "WHERE c.relnamespace = 'public'::regnamespace"
    )
    assert owners == [("adaptary_owner", False)]


def test_nothing_is_granted_to_everybody(catalogue):
    granted = catalogue(
        "SELECT c.relname, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a "
        "WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0 UNION ALL "
        "SELECT c.relname || '.' || t.attname, a.privilege_type FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, "
        "aclexplode(t.attacl) a WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0 UNION ALL "
        "SELECT 'what is to come', defaclacl::text FROM pg_default_acl"
    )
    assert granted == []


def test_the_app_reads_what_is_published_and_touches_nothing_of_the_operators(superuser):
    for table in PUBLISHED:
        assert may(superuser, "adaptary_app", table) == {"SELECT"}, table
    for table in OPERATORS:
        assert may(superuser, "adaptary_app", table) == set(), table


def test_no_role_may_empty_a_table_or_hang_something_on_it(superuser):
    for role in ROLES:
        for it in relations(superuser):
            assert not may(superuser, role, it.name) & {"TRUNCATE", "REFERENCES", "TRIGGER"}, (role, it.name)


def test_no_role_may_make_anything_in_the_schema_or_the_database(catalogue):
    for role in ROLES:
        assert catalogue(
            f"SELECT has_schema_privilege('{role}', 'public', 'CREATE'), "
            f"has_database_privilege('{role}', current_database(), 'CREATE')"
        ) == [(False, False)]


def test_no_sequence_counts_through_all_tenants_for_the_app(catalogue):
    for name, usable in catalogue(
        "SELECT sequencename, has_sequence_privilege('adaptary_app', sequencename, 'USAGE, SELECT, UPDATE') "
        "FROM pg_sequences WHERE schemaname = 'public'"
    ):
        assert not usable, name


def test_functions_that_do_more_than_their_caller_may_are_listed_and_not_the_apps(catalogue):
    definers = catalogue(
        "SELECT oid::regprocedure::text, has_function_privilege('adaptary_app', oid, 'EXECUTE'), proconfig FROM pg_proc "
        "WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert {name for name, _, _ in definers} == DEFINERS
    for name, apps, settings in definers:
        assert not apps, name
        # A table of the caller's own making must not stand in for one of ours.
        assert settings == ["search_path=public, pg_temp"], name


def test_no_extension_brings_functions_of_its_own(catalogue):
    assert catalogue("SELECT extname FROM pg_extension") == [("plpgsql",)]


def test_references_between_tenants_rows_hold_the_tenant_on_both_sides(superuser, catalogue):
    owned = set(owned_tables(superuser))
    for table, name, target, columns, targets in catalogue(_FOREIGN_KEYS):
        if target in owned:
            assert table in owned, f"{name} leads from no tenant's row into a tenant's"
            assert ("tenant_id", "tenant_id") in zip(columns, targets, strict=True), name
        elif table in owned:
            assert target in {TENANTS, *PUBLISHED}, f"{name} leads out of the tenant"


def test_every_tenants_row_falls_with_its_tenant_and_can_be_pointed_at_by_both(superuser, catalogue):
    keys = {(table, tuple(columns), target) for table, _, target, columns, _ in catalogue(_FOREIGN_KEYS)}
    pointed_at = {
        (table, tuple(columns))
        for table, columns in catalogue(
            "SELECT conrelid::regclass::text, (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a "
            "WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey)) FROM pg_constraint WHERE contype = 'u'"
        )
    }
    for table in owned_tables(superuser):
        assert (table, ("tenant_id",), TENANTS) in keys, table
        assert (table, ("id", "tenant_id")) in pointed_at, table


def test_every_id_in_a_tenants_row_is_held_inside_of_the_tenant(superuser, catalogue):
    held = {f"{table}.{column}" for table, _, _, columns, _ in catalogue(_FOREIGN_KEYS) for column in columns}
    ids = catalogue(
        "SELECT attrelid::regclass::text || '.' || attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped "
        "AND a.atttypid = 'uuid'::regtype AND a.attname <> 'id'"
    )
    owned = set(owned_tables(superuser))
    loose = {name for (name,) in ids if name.partition(".")[0] in owned} - held
    assert loose == set(LOOSE_IDS)


_FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, conname, confrelid::regclass::text,
        (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(conkey) WITH ORDINALITY k (number, place)
            JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.number),
        (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(confkey) WITH ORDINALITY k (number, place)
            JOIN pg_attribute a ON a.attrelid = confrelid AND a.attnum = k.number)
    FROM pg_constraint WHERE contype = 'f'"""
