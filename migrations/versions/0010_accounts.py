"""Accounts: a second factor, sessions that can be ended, and API keys with narrower rights."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import protect, reserve

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    _sessions()
    _sign_in_rules()
    _second_factor()
    _api_keys()


def _sessions() -> None:
    op.create_table('user_sessions',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('device', sa.String(length=80), nullable=False),
    sa.Column('network', sa.String(length=64), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id'], name=op.f('fk_user_sessions_tenant_id_user_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_user_sessions_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_user_sessions')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_user_sessions_tenant_id_id'))
    )
    op.create_index(op.f('ix_user_sessions_tenant_id_user_id'), 'user_sessions', ['tenant_id', 'user_id'])
    protect("user_sessions")
    op.create_table('staff_sessions',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('staff_id', sa.UUID(), nullable=False),
    sa.Column('device', sa.String(length=80), nullable=False),
    sa.Column('network', sa.String(length=64), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_staff_sessions_staff_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff_sessions'))
    )
    op.create_index(op.f('ix_staff_sessions_staff_id'), 'staff_sessions', ['staff_id'])
    reserve("staff_sessions")


def _sign_in_rules() -> None:
    op.create_table('sign_in_rules',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('session_hours', sa.BigInteger(), nullable=False),
    sa.Column('requires_second_factor', sa.Boolean(), nullable=False),
    sa.Column('networks', postgresql.JSONB(), nullable=True),
    sa.CheckConstraint('session_hours BETWEEN 1 AND 168', name=op.f('ck_sign_in_rules_session_hours_bounded')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_sign_in_rules_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sign_in_rules')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_sign_in_rules_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', name=op.f('uq_sign_in_rules_tenant_id'))
    )
    protect("sign_in_rules")


def _second_factor() -> None:
    for table in ("users", "staff"):
        op.add_column(table, sa.Column("totp_secret", sa.LargeBinary(), nullable=True))
        op.add_column(table, sa.Column("totp_step", sa.BigInteger(), nullable=True))
        op.add_column(table, sa.Column("recovery_digests", postgresql.JSONB(), nullable=True))


def _api_keys() -> None:
    op.add_column("api_keys", sa.Column("may_predict", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.alter_column("api_keys", "may_predict", server_default=None)
    op.add_column("api_keys", sa.Column("networks", postgresql.JSONB(), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("replaced_by_id", sa.UUID(), nullable=True))
    op.create_foreign_key(
        op.f("fk_api_keys_tenant_id_replaced_by_id"),
        "api_keys",
        "api_keys",
        ["tenant_id", "replaced_by_id"],
        ["tenant_id", "id"],
    )
    op.create_check_constraint(op.f("ck_api_keys_may_something"), "api_keys", "may_predict OR may_manage")
