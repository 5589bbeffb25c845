"""Privacy policies: an operator for each entity, values that are always replaced, policies of models."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

_TABLE = "privacy_policies"


def upgrade() -> None:
    _add(sa.Column("operators", _json(), nullable=False, server_default="{}"))
    _add(sa.Column("deny_list", _json(), nullable=False, server_default="[]"))
    _add(sa.Column("withdrawn", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(_TABLE, sa.Column("model_id", sa.UUID(), nullable=True))
    op.create_check_constraint(
        op.f("ck_privacy_policies_withdrawn_of_model"), _TABLE, "NOT withdrawn OR model_id IS NOT NULL"
    )
    op.create_foreign_key(
        op.f("fk_privacy_policies_tenant_id_model_id"),
        _TABLE,
        "models",
        ["tenant_id", "model_id"],
        ["tenant_id", "id"],
    )


def _json() -> postgresql.JSONB:
    return postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def _add(column: sa.Column[object]) -> None:
    """Add a column that must have a value, with its default in the rows that are there."""
    op.add_column(_TABLE, column)
    op.alter_column(_TABLE, column.name, server_default=None)
