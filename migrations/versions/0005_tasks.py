"""Say of every upload that was read before there were other tasks that it is for classification."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Row-level security is forced on the owner, too, and no tenant is set here.
    op.execute("ALTER TABLE dataset_versions NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE dataset_versions SET mapping = mapping || "
        """'{"task": "classification", "separator": null}' WHERE mapping ? 'text'"""
    )
    op.execute(
        """UPDATE dataset_versions SET report = report || '{"task": "classification", "turns": null}' """
        "WHERE report IS NOT NULL"
    )
    op.execute("ALTER TABLE dataset_versions FORCE ROW LEVEL SECURITY")
