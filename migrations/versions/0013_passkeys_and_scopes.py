"""Accounts: passkeys, addresses that are verified, mail with links, and what an API key reaches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import protect, reserve

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    _second_factor()
    _verified_addresses()
    _passkeys()
    _mails()
    _keys_reach()


def _second_factor() -> None:
    for table in ("users", "staff"):
        op.add_column(table, sa.Column("totp_since", sa.DateTime(timezone=True), nullable=True))
        op.add_column(table, sa.Column("recovery_secret", sa.LargeBinary(), nullable=True))
        # The digests so far are under the app's secret.
        people = sa.table(table, *map(sa.column, ("created_at", "totp_secret", "totp_since", "recovery_secret")))
        op.execute(
            people.update()
            .where(people.c.totp_secret.is_not(None))
            .values(recovery_secret=people.c.totp_secret, totp_since=people.c.created_at)
        )


def _verified_addresses() -> None:
    op.add_column("users", sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True))
    # Nobody who works here already is stopped by a rule that did not exist when they came.
    op.execute("UPDATE users SET email_verified_at = created_at")


def _of_a_user(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        *_of_anybody(table),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name=op.f(f"fk_{table}_tenant_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("tenant_id", "id", name=op.f(f"uq_{table}_tenant_id_id")),
    )


def _of_staff(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        *_of_anybody(table),
        sa.Column("staff_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f(f"fk_{table}_staff_id"), ondelete="CASCADE"
        ),
    )


def _of_anybody(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _passkeys() -> None:
    for table, owner in (
        ("user_passkeys", _of_a_user("user_passkeys")),
        ("staff_passkeys", _of_staff("staff_passkeys")),
    ):
        op.create_table(
            table,
            *owner,
            sa.Column("name", sa.String(80), nullable=False),
            sa.Column("credential_id", sa.LargeBinary(), nullable=False),
            sa.Column("public_key", sa.LargeBinary(), nullable=False),
            sa.Column("sign_count", sa.BigInteger(), nullable=False),
            sa.Column("transports", postgresql.JSONB(none_as_null=True), nullable=True),
            sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
            sa.UniqueConstraint("credential_id", name=op.f(f"uq_{table}_credential_id")),
        )
    op.create_index(op.f("ix_user_passkeys_tenant_id_user_id"), "user_passkeys", ["tenant_id", "user_id"])
    op.create_index(op.f("ix_staff_passkeys_staff_id"), "staff_passkeys", ["staff_id"])
    protect("user_passkeys")
    reserve("staff_passkeys")


def _mails() -> None:
    for table, owner in (("user_mails", _of_a_user("user_mails")), ("staff_mails", _of_staff("staff_mails"))):
        op.create_table(
            table,
            *owner,
            sa.Column("kind", sa.String(32), nullable=False),
            sa.Column("address", sa.String(254), nullable=False),
            sa.Column("token_digest", sa.LargeBinary(), nullable=True),
            sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("attempts", sa.BigInteger(), nullable=False),
            sa.UniqueConstraint("token_digest", name=op.f(f"uq_{table}_token_digest")),
        )
    op.create_index(op.f("ix_user_mails_tenant_id_user_id"), "user_mails", ["tenant_id", "user_id"])
    op.create_index(
        op.f("ix_user_mails_due_at"),
        "user_mails",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_staff_mails_staff_id"), "staff_mails", ["staff_id"])
    protect("user_mails")
    reserve("staff_mails")


def _keys_reach() -> None:
    op.add_column(
        "api_keys",
        sa.Column("is_limited_to_models", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.alter_column("api_keys", "is_limited_to_models", server_default=None)
    op.add_column("api_keys", sa.Column("endpoints", postgresql.JSONB(none_as_null=True), nullable=True))
    op.create_table(
        "api_key_models",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        *_of_anybody("api_key_models"),
        sa.Column("api_key_id", sa.UUID(), nullable=False),
        sa.Column("model_id", sa.UUID(), nullable=True),
        sa.Column("base_model", sa.String(64), nullable=True),
        sa.CheckConstraint(
            "(model_id IS NULL) != (base_model IS NULL)", name=op.f("ck_api_key_models_one_model")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "api_key_id"],
            ["api_keys.tenant_id", "api_keys.id"],
            name=op.f("fk_api_key_models_tenant_id_api_key_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id"],
            ["models.tenant_id", "models.id"],
            name=op.f("fk_api_key_models_tenant_id_model_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_api_key_models_tenant_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_api_key_models_tenant_id_id")),
    )
    op.create_index(
        op.f("ix_api_key_models_tenant_id_api_key_id"), "api_key_models", ["tenant_id", "api_key_id"]
    )
    protect("api_key_models")
