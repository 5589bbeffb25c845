"""Row-level security and grants: the first fence around a tenant's rows.

Every table passes through `protect` or one of its siblings in the migration that makes it; a test compares the
live catalogue with core/models.
"""

from alembic import op

from migrations.roles import APP, OPERATOR

# NULL where no tenant is set, and '' once a transaction's setting has ended: neither equals any tenant.
_CURRENT_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"

READ = "SELECT"
APPEND = "SELECT, INSERT"
WRITE = "SELECT, INSERT, UPDATE, DELETE"


def protect(table: str, *, app: str = WRITE, operator: str = WRITE, tenant_column: str = "tenant_id") -> None:
    """Show `table`'s rows to their own tenant only, and grant each role what it may do."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} "
        f"USING ({tenant_column} = {_CURRENT_TENANT}) WITH CHECK ({tenant_column} = {_CURRENT_TENANT})"
    )
    op.execute(f"GRANT {app} ON {table} TO {APP}")
    op.execute(f"GRANT {operator} ON {table} TO {OPERATOR}")


def publish(table: str) -> None:
    """A table that every tenant may read and the operator's staff write: the plans."""
    op.execute(f"GRANT {READ} ON {table} TO {APP}")
    op.execute(f"GRANT {WRITE} ON {table} TO {OPERATOR}")


def reserve(table: str, *, operator: str = WRITE) -> None:
    """A table for the operator's role alone."""
    op.execute(f"GRANT {operator} ON {table} TO {OPERATOR}")
