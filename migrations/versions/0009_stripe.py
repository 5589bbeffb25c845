"""Stripe: what was made there, the mirror of it, the outbox of usage and the inbox of events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import READ, protect, reserve

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    _catalogue()
    _mirror()
    _outbox()
    _inbox()


def _catalogue() -> None:
    op.create_table('stripe_objects',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('stripe_type', sa.String(length=40), nullable=False),
    sa.Column('local_key', sa.String(length=120), nullable=False),
    sa.Column('stripe_id', sa.String(length=255), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stripe_objects')),
    sa.UniqueConstraint('stripe_id', name=op.f('uq_stripe_objects_stripe_id')),
    sa.UniqueConstraint('stripe_type', 'local_key', name=op.f('uq_stripe_objects_stripe_type_local_key'))
    )
    reserve("stripe_objects")


def _mirror() -> None:
    op.create_table('stripe_customers',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('customer_id', sa.String(length=255), nullable=False),
    sa.Column('subscription_id', sa.String(length=255), nullable=True),
    sa.Column('subscription_status', sa.String(length=40), nullable=True),
    sa.Column('plan_code', sa.String(length=40), nullable=True),
    sa.Column('collects_from', sa.Date(), nullable=True),
    sa.Column('counted_from', postgresql.JSONB(), nullable=True),
    sa.Column('card', postgresql.JSONB(), nullable=True),
    sa.Column('fetched_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_stripe_customers_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stripe_customers')),
    sa.UniqueConstraint('customer_id', name=op.f('uq_stripe_customers_customer_id')),
    sa.UniqueConstraint('subscription_id', name=op.f('uq_stripe_customers_subscription_id')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_stripe_customers_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', name=op.f('uq_stripe_customers_tenant_id'))
    )
    op.create_table('stripe_invoices',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('stripe_invoice_id', sa.String(length=255), nullable=False),
    sa.Column('invoice_id', sa.UUID(), nullable=True),
    sa.Column('status', sa.String(length=40), nullable=False),
    sa.Column('number', sa.String(length=80), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('period_start', sa.DateTime(timezone=True), nullable=False),
    sa.Column('period_end', sa.DateTime(timezone=True), nullable=False),
    sa.Column('total_cents', sa.BigInteger(), nullable=False),
    sa.Column('tax_cents', sa.BigInteger(), nullable=False),
    sa.Column('amount_due_cents', sa.BigInteger(), nullable=False),
    sa.Column('amount_paid_cents', sa.BigInteger(), nullable=False),
    sa.Column('attempt_count', sa.BigInteger(), nullable=False),
    sa.Column('next_payment_attempt', sa.DateTime(timezone=True), nullable=True),
    sa.Column('hosted_url', sa.Text(), nullable=True),
    sa.Column('comparison', postgresql.JSONB(), nullable=True),
    sa.Column('compared_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('held_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('held_reason', sa.Text(), nullable=True),
    sa.Column('payment_failed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('fetched_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id', 'invoice_id'], ['invoices.tenant_id', 'invoices.id'], name=op.f('fk_stripe_invoices_tenant_id_invoice_id')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_stripe_invoices_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stripe_invoices')),
    sa.UniqueConstraint('stripe_invoice_id', name=op.f('uq_stripe_invoices_stripe_invoice_id')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_stripe_invoices_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', 'invoice_id', name=op.f('uq_stripe_invoices_tenant_id_invoice_id'))
    )
    op.create_index(op.f('ix_stripe_invoices_held_at'), 'stripe_invoices', ['held_at'], postgresql_where=sa.text('held_at IS NOT NULL'))
    # Their tenant's people see their card and how its payments went; only the operator's processes write.
    for table in ("stripe_customers", "stripe_invoices"):
        protect(table, app=READ)


def _outbox() -> None:
    op.create_table('usage_reports',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('kind', sa.String(32), nullable=False),
    sa.Column('hour', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sequence', sa.BigInteger(), nullable=False),
    sa.Column('quantity', sa.BigInteger(), nullable=False),
    sa.Column('identifier', sa.String(length=100), nullable=False),
    sa.Column('status', sa.String(32), nullable=False),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.Column('first_sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_usage_reports_quantity_positive')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_usage_reports_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_usage_reports')),
    sa.UniqueConstraint('identifier', name=op.f('uq_usage_reports_identifier')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_usage_reports_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', 'kind', 'hour', 'sequence', name=op.f('uq_usage_reports_tenant_id_kind_hour_sequence'))
    )
    op.create_index(op.f('ix_usage_reports_due_at'), 'usage_reports', ['due_at'], postgresql_where=sa.text('due_at IS NOT NULL'))
    protect("usage_reports", app=READ)


def _inbox() -> None:
    op.create_table('stripe_events',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('event_id', sa.String(length=255), nullable=False),
    sa.Column('type', sa.String(length=120), nullable=False),
    sa.Column('object_id', sa.String(length=255), nullable=True),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('handled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stripe_events')),
    sa.UniqueConstraint('event_id', name=op.f('uq_stripe_events_event_id'))
    )
    op.create_index(op.f('ix_stripe_events_due_at'), 'stripe_events', ['due_at'], postgresql_where=sa.text('due_at IS NOT NULL'))
    reserve("stripe_events")
