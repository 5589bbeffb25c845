"""The lists of values in privacy policies, sealed under their tenant's key."""

import sqlalchemy as sa
from alembic import op

from core.privacy.sealed_lists import seal_lists
from core.storage import open_tenant_key

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("privacy_policies", sa.Column("sealed_lists", sa.LargeBinary(), nullable=True))
    _seal()
    op.drop_column("privacy_policies", "allow_list")
    op.drop_column("privacy_policies", "deny_list")
    # Written anew without the dropped columns: else the values would lie in the table's file until it is vacuumed.
    op.execute("CLUSTER privacy_policies USING pk_privacy_policies")
    op.execute("ALTER TABLE privacy_policies SET WITHOUT CLUSTER")


def _seal() -> None:
    """Seal the lists that there are, which takes MASTER_KEY; those of a tenant whose key is destroyed are lost."""
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            "SELECT p.id, p.tenant_id, p.version, p.allow_list, p.deny_list, t.wrapped_data_key "
            "FROM privacy_policies p JOIN tenants t ON t.id = p.tenant_id "
            "WHERE (p.allow_list <> '[]' OR p.deny_list <> '[]') AND t.wrapped_data_key <> ''"
        )
    ).all()
    for row in found:
        key = open_tenant_key(row.tenant_id, row.wrapped_data_key)
        connection.execute(
            sa.text("UPDATE privacy_policies SET sealed_lists = :sealed WHERE id = :id"),
            {"id": row.id, "sealed": seal_lists(key, row.version, row.allow_list, row.deny_list)},
        )
