"""Findings of a dataset version that its owner corrected."""

import sqlalchemy as sa
from alembic import op

from migrations.rls import protect

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column(
        "dataset_versions",
        sa.Column("corrections_revision", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.alter_column("dataset_versions", "corrections_revision", server_default=None)
    op.create_table(
        "finding_corrections",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version_id", sa.UUID(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_value", sa.LargeBinary(), nullable=False),
        sa.Column("entity", sa.String(40), nullable=True),
        sa.Column("created_by_id", sa.UUID(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "version_id"],
            ["dataset_versions.tenant_id", "dataset_versions.id"],
            name=op.f("fk_finding_corrections_tenant_id_version_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "created_by_id"],
            ["users.tenant_id", "users.id"],
            name=op.f("fk_finding_corrections_tenant_id_created_by_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_finding_corrections_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding_corrections")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_finding_corrections_tenant_id_id")),
        sa.UniqueConstraint(
            "tenant_id",
            "version_id",
            "digest",
            name=op.f("uq_finding_corrections_tenant_id_version_id_digest"),
        ),
    )
    protect("finding_corrections")
