"""Metering, limits and idempotency of the API's newer calls."""

import sqlalchemy as sa
from alembic import op

from migrations.rls import protect

revision = "0006"
down_revision = "0005"

# What each plan of the first catalogue allows a minute: requests, and tokens.
_LIMITS = {
    "pay-as-you-go": (3000, 1_000_000),
    "starter": (3000, 1_000_000),
    "scale": (12_000, 10_000_000),
}


def upgrade() -> None:
    _limit_plans()
    _extend_keys()
    op.create_table(
        "kept_answers",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("media_type", sa.String(length=80), nullable=True),
        sa.Column("sealed_answer", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_kept_answers_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_answers")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_kept_answers_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "key_digest", name=op.f("uq_kept_answers_tenant_id_key_digest")),
    )
    op.create_index(op.f("ix_kept_answers_expires_at"), "kept_answers", ["expires_at"])
    protect("kept_answers")


def _limit_plans() -> None:
    for name, default in (("requests_per_minute", "600"), ("tokens_per_minute", "250000")):
        op.add_column("plans", sa.Column(name, sa.BigInteger(), nullable=False, server_default=default))
        op.alter_column("plans", name, server_default=None)
    for code, (requests, tokens) in _LIMITS.items():
        limit = sa.text(
            "UPDATE plans SET requests_per_minute = :requests, tokens_per_minute = :tokens WHERE code = :code"
        )
        op.execute(limit.bindparams(requests=requests, tokens=tokens, code=code))


def _extend_keys() -> None:
    op.add_column("api_keys", sa.Column("default_model_id", sa.UUID(), nullable=True))
    op.add_column("api_keys", sa.Column("requests_per_minute", sa.BigInteger(), nullable=True))
    op.add_column("api_keys", sa.Column("tokens_per_minute", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        op.f("ck_api_keys_limits_positive"), "api_keys", "requests_per_minute > 0 AND tokens_per_minute > 0"
    )
    op.create_foreign_key(
        op.f("fk_api_keys_tenant_id_default_model_id"),
        "api_keys",
        "models",
        ["tenant_id", "default_model_id"],
        ["tenant_id", "id"],
    )
