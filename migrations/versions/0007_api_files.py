"""Files, fine-tunes and batches that are sent over the API, keys that may manage, and models that were deleted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import protect

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "api_keys", sa.Column("may_manage", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.alter_column("api_keys", "may_manage", server_default=None)
    op.add_column("models", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "api_files",
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("blob", sa.String(length=255), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_api_files_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_files")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_api_files_tenant_id_id")),
    )
    op.create_index(
        op.f("ix_api_files_tenant_id_created_at"), "api_files", ["tenant_id", "created_at"], unique=False
    )
    op.create_table(
        "fine_tune_requests",
        sa.Column("training_file_id", sa.UUID(), nullable=False),
        sa.Column("validation_file_id", sa.UUID(), nullable=True),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("base_model", sa.String(length=64), nullable=False),
        sa.Column("model_name", sa.String(length=64), nullable=False),
        sa.Column(
            "hyperparameters", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("settings", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column(
            "client_metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("dataset_version_id", sa.UUID(), nullable=True),
        sa.Column("job_id", sa.UUID(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("api_key_id", sa.UUID(), nullable=True),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "api_key_id"],
            ["api_keys.tenant_id", "api_keys.id"],
            name=op.f("fk_fine_tune_requests_tenant_id_api_key_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "dataset_version_id"],
            ["dataset_versions.tenant_id", "dataset_versions.id"],
            name=op.f("fk_fine_tune_requests_tenant_id_dataset_version_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "job_id"],
            ["fine_tune_jobs.tenant_id", "fine_tune_jobs.id"],
            name=op.f("fk_fine_tune_requests_tenant_id_job_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "training_file_id"],
            ["api_files.tenant_id", "api_files.id"],
            name=op.f("fk_fine_tune_requests_tenant_id_training_file_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "validation_file_id"],
            ["api_files.tenant_id", "api_files.id"],
            name=op.f("fk_fine_tune_requests_tenant_id_validation_file_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_fine_tune_requests_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fine_tune_requests")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_fine_tune_requests_tenant_id_id")),
    )
    op.create_index(op.f("ix_fine_tune_requests_status"), "fine_tune_requests", ["status"], unique=False)
    op.create_index(
        op.f("ix_fine_tune_requests_tenant_id_created_at"),
        "fine_tune_requests",
        ["tenant_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "batches",
        sa.Column("input_file_id", sa.UUID(), nullable=False),
        sa.Column("output_file_id", sa.UUID(), nullable=True),
        sa.Column("error_file_id", sa.UUID(), nullable=True),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("completion_window", sa.String(length=8), nullable=False),
        sa.Column(
            "client_metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_line", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("read_lines", sa.BigInteger(), nullable=False),
        sa.Column("read_bytes", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelling_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("api_key_id", sa.UUID(), nullable=False),
        sa.Column("webhook_url", sa.String(length=512), nullable=True),
        sa.Column("webhook_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("webhook_attempts", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "api_key_id"],
            ["api_keys.tenant_id", "api_keys.id"],
            name=op.f("fk_batches_tenant_id_api_key_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "error_file_id"],
            ["api_files.tenant_id", "api_files.id"],
            name=op.f("fk_batches_tenant_id_error_file_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "input_file_id"],
            ["api_files.tenant_id", "api_files.id"],
            name=op.f("fk_batches_tenant_id_input_file_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "output_file_id"],
            ["api_files.tenant_id", "api_files.id"],
            name=op.f("fk_batches_tenant_id_output_file_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_batches_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_batches_tenant_id_id")),
    )
    op.create_index(op.f("ix_batches_status"), "batches", ["status"], unique=False)
    op.create_index(
        op.f("ix_batches_tenant_id_created_at"), "batches", ["tenant_id", "created_at"], unique=False
    )
    op.create_index(op.f("ix_batches_webhook_due_at"), "batches", ["webhook_due_at"], unique=False)
    for table in ("api_files", "fine_tune_requests", "batches"):
        protect(table)
