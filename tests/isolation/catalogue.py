"""The live database's own catalogue: what is in it, and whose each table is. No list of models is asked."""

from dataclasses import dataclass

from psycopg import Connection

ROLES = ("adaptary_app", "adaptary_operator")

TENANTS = "tenants"
"""The one table of which a tenant sees a row by its id."""

PUBLISHED = {
    "plans": "what is on offer; a contract's plan is its tenant's alone",
    "plan_prices": "and at which price",
    "closed_months": "which months are invoiced: usage of them that comes late goes on the next",
}
"""Tables without a tenant that the app may read, and why."""

OPERATORS = {
    "alembic_version": "the owner's",
    "credit_note_counters": "numbers run through all tenants",
    "invoice_counters": "the same",
    "staff": "the operator's people",
    "staff_mails": "links that were sent to them",
    "staff_passkeys": "what they sign in with",
    "staff_events": "what they did",
    "staff_sessions": "where they are signed in",
    "stripe_events": "what Stripe sent, before it is known whom it is about",
    "stripe_objects": "the price list as Stripe has it",
}
"""Tables without a tenant that the app may not touch at all, and why there is no tenant."""

_RELATIONS = """
    SELECT c.relname AS name, c.relkind::text AS kind, c.relrowsecurity AS secured, c.relforcerowsecurity AS forced,
        pg_get_userbyid(c.relowner) AS owner, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
            AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS has_tenant
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relkind NOT IN ('i', 'I', 'S')
    ORDER BY c.relname"""


@dataclass(frozen=True)
class Relation:
    """A table or view, with what the catalogue says of its row-level security."""

    name: str
    kind: str
    secured: bool
    forced: bool
    owner: str
    has_tenant: bool


def relations(connection: Connection) -> list[Relation]:
    """All of them outside of Postgres' own schemas: tables, partitions, views, materialised views, foreign tables."""
    return [Relation(*row) for row in connection.execute(_RELATIONS)]


def owned_tables(connection: Connection) -> list[str]:
    """The tables whose rows each belong to a tenant."""
    return [it.name for it in relations(connection) if it.has_tenant and it.kind == "r"]


def may(connection: Connection, role: str, table: str) -> set[str]:
    """The verbs that `role` may use on `table`, also on some of its columns only."""
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    on_columns = {"SELECT", "INSERT", "UPDATE", "REFERENCES"}
    found = set()
    for verb in verbs:
        row = connection.execute("SELECT has_table_privilege(%s, %s, %s)", (role, table, verb)).fetchone()
        some = verb in on_columns and connection.execute(
            "SELECT has_any_column_privilege(%s, %s, %s)", (role, table, verb)
        ).fetchone() == (True,)
        if row == (True,) or some:
            found.add(verb)
    return found
