"""Money: price schemes and contracts, drafts, credits, payments, credit notes, budgets, reversing facts."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import APPEND, READ, protect, reserve
from migrations.roles import OPERATOR

revision = "0008"
down_revision = "0007"

_CURRENT_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


# Each statement of the function sees what was committed before it began: after the lock, which billing/counters.py
# takes alone to count anew, either this transaction's facts were counted or the counters are here to be moved. Counters
# are locked in one order, so that no two transactions wait for each other.
_COUNT_USAGE = """
CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(tenant_id::text, 8))
    FROM (SELECT DISTINCT tenant_id FROM facts) AS tenant;
    IF NOT EXISTS (SELECT FROM usage_counters WHERE tenant_id IN (SELECT tenant_id FROM facts)) THEN
        RETURN NULL;
    END IF;
    WITH moved AS MATERIALIZED (
        SELECT counter.id, sum(fact.quantity) AS quantity
        FROM facts AS fact JOIN usage_counters AS counter
            ON counter.tenant_id = fact.tenant_id AND counter.kind = fact.kind
            AND counter.starts_at <= fact.occurred_at AND fact.occurred_at < counter.ends_at
            AND (counter.api_key_id IS NULL OR counter.api_key_id = fact.api_key_id)
        GROUP BY counter.id
    ), held AS MATERIALIZED (
        SELECT counter.id FROM usage_counters AS counter JOIN moved USING (id) ORDER BY counter.id FOR UPDATE OF counter
    )
    UPDATE usage_counters AS counter SET quantity = counter.quantity + moved.quantity
    FROM moved JOIN held USING (id) WHERE counter.id = moved.id;
    WITH settled AS MATERIALIZED (
        SELECT tenant_id, request_id, array_agg(kind::text) AS kinds FROM facts GROUP BY tenant_id, request_id
    ), kept AS (
        UPDATE budget_reservations AS reservation SET quantities = quantities - kinds FROM settled
        WHERE reservation.tenant_id = settled.tenant_id AND reservation.request_id = settled.request_id
            AND quantities - kinds <> '{}'
    )
    DELETE FROM budget_reservations AS reservation USING settled
    WHERE reservation.tenant_id = settled.tenant_id AND reservation.request_id = settled.request_id
        AND quantities - kinds = '{}';
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    _prices()
    _contracts()
    _reversals()
    _invoices()
    _credits()
    _payments()
    _budgets()
    _notifications()
    _standing()


def _add(table: str, name: str, type_: sa.types.TypeEngine[Any], value: str) -> None:
    """Add a column that must have a value, with this one in the rows that are there."""
    op.add_column(table, sa.Column(name, type_, nullable=False, server_default=value))
    op.alter_column(table, name, server_default=None)


def _prices() -> None:
    _add("plan_prices", "scheme", sa.String(32), "flat")
    op.add_column("plan_prices", sa.Column("tiers", postgresql.JSONB(), nullable=True))
    op.create_check_constraint(
        op.f("ck_plan_prices_tiers_where_tiered"), "plan_prices", "(scheme = 'flat') = (tiers IS NULL)"
    )
    _add("invoice_lines", "flat_amount", sa.Numeric(24, 12), "0")
    # Every kind has a price; no plan had a least amount until now.
    op.execute(
        "INSERT INTO plan_prices (id, plan_code, kind, scheme, unit_amount, included_quantity, effective_from) "
        "SELECT gen_random_uuid(), code, 'minimum', 'flat', 0, 0, '2020-01-01T00:00:00Z' FROM plans"
    )


def _contracts() -> None:
    _add("plans", "grace_days", sa.BigInteger(), "7")
    op.add_column("plans", sa.Column("contract_tenant_id", sa.UUID(), nullable=True))
    op.create_foreign_key(
        op.f("fk_plans_contract_tenant_id"), "plans", "tenants", ["contract_tenant_id"], ["id"]
    )
    # What one tenant pays is no other's business.
    visible = {
        "plans": f"contract_tenant_id IS NULL OR contract_tenant_id = {_CURRENT_TENANT}",
        "plan_prices": "EXISTS (SELECT FROM plans WHERE plans.code = plan_code)",
    }
    for table, condition in visible.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING ({condition})")


def _reversals() -> None:
    op.add_column("usage_facts", sa.Column("reverses_id", sa.UUID(), nullable=True))
    op.add_column("usage_facts", sa.Column("reason", sa.String(length=300), nullable=True))
    op.drop_constraint(op.f("ck_usage_facts_quantity_not_negative"), "usage_facts")
    op.create_check_constraint(
        op.f("ck_usage_facts_quantity_not_negative"), "usage_facts", "quantity >= 0 OR reverses_id IS NOT NULL"
    )
    op.create_check_constraint(
        op.f("ck_usage_facts_reversal_has_reason"), "usage_facts", "(reverses_id IS NULL) = (reason IS NULL)"
    )
    op.create_foreign_key(
        op.f("fk_usage_facts_tenant_id_reverses_id"),
        "usage_facts",
        "usage_facts",
        ["tenant_id", "reverses_id"],
        ["tenant_id", "id"],
    )
    op.create_index(
        "uq_usage_facts_reverses_id",
        "usage_facts",
        ["tenant_id", "reverses_id"],
        unique=True,
        postgresql_where=sa.text("reverses_id IS NOT NULL"),
    )


def _invoices() -> None:
    _add("invoices", "tax_cents", sa.BigInteger(), "0")
    _add("invoices", "credits_cents", sa.BigInteger(), "0")
    _add("invoices", "collection", sa.String(32), "bank_transfer")
    op.add_column("invoices", sa.Column("held_reason", sa.Text(), nullable=True))
    op.add_column("invoices", sa.Column("uncollectible_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_invoices_number_unless_draft"), "invoices", "(number IS NULL) = (status = 'draft')"
    )
    op.create_check_constraint(
        op.f("ck_invoices_credits_and_tax_not_negative"), "invoices", "credits_cents >= 0 AND tax_cents >= 0"
    )
    op.execute(
        "GRANT UPDATE (number, issued_at, due_at, tax_cents, credits_cents, collection, held_reason, uncollectible_at) "
        f"ON invoices TO {OPERATOR}"
    )
    op.execute(
        """
        CREATE FUNCTION keep_issued_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF OLD.status <> 'draft' AND (NEW.number, NEW.issued_at, NEW.due_at, NEW.tax_cents, NEW.credits_cents,
                NEW.collection) IS DISTINCT FROM (OLD.number, OLD.issued_at, OLD.due_at, OLD.tax_cents,
                OLD.credits_cents, OLD.collection) THEN
                RAISE EXCEPTION 'invoice % is issued: its number and amounts stay', OLD.number;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER keep_issued BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION keep_issued_invoice()"
    )


def _credits() -> None:
    op.create_table('credit_grants',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('kind', sa.String(32), nullable=False),
    sa.Column('amount_cents', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('reference', sa.String(length=120), nullable=False),
    sa.Column('note', sa.String(length=300), nullable=True),
    sa.Column('granted_by', sa.String(length=254), nullable=False),
    sa.Column('granted_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('amount_cents > 0', name=op.f('ck_credit_grants_amount_positive')),
    sa.CheckConstraint('expires_at > granted_at', name=op.f('ck_credit_grants_expires_later')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_credit_grants_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credit_grants')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_credit_grants_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', 'reference', name=op.f('uq_credit_grants_tenant_id_reference'))
    )
    op.create_table('credit_entries',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('grant_id', sa.UUID(), nullable=False),
    sa.Column('invoice_id', sa.UUID(), nullable=True),
    sa.Column('amount_cents', sa.BigInteger(), nullable=False),
    sa.Column('entered_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('amount_cents <> 0', name=op.f('ck_credit_entries_amount_not_zero')),
    sa.ForeignKeyConstraint(['tenant_id', 'grant_id'], ['credit_grants.tenant_id', 'credit_grants.id'], name=op.f('fk_credit_entries_tenant_id_grant_id')),
    sa.ForeignKeyConstraint(['tenant_id', 'invoice_id'], ['invoices.tenant_id', 'invoices.id'], name=op.f('fk_credit_entries_tenant_id_invoice_id')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_credit_entries_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credit_entries')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_credit_entries_tenant_id_id'))
    )
    op.create_index(op.f('ix_credit_entries_tenant_id_grant_id'), 'credit_entries', ['tenant_id', 'grant_id'])
    op.create_index(op.f('ix_credit_entries_tenant_id_invoice_id'), 'credit_entries', ['tenant_id', 'invoice_id'])
    for table in ("credit_grants", "credit_entries"):
        protect(table, app=READ, operator=APPEND)


def _payments() -> None:
    op.create_table('payments',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('invoice_id', sa.UUID(), nullable=False),
    sa.Column('collection', sa.String(32), nullable=False),
    sa.Column('amount_cents', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('reference', sa.String(length=120), nullable=False),
    sa.Column('paid_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('recorded_by', sa.String(length=254), nullable=False),
    sa.CheckConstraint('amount_cents <> 0', name=op.f('ck_payments_amount_not_zero')),
    sa.ForeignKeyConstraint(['tenant_id', 'invoice_id'], ['invoices.tenant_id', 'invoices.id'], name=op.f('fk_payments_tenant_id_invoice_id')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_payments_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payments')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_payments_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', 'invoice_id', 'reference', name=op.f('uq_payments_tenant_id_invoice_id_reference'))
    )
    op.create_index(op.f('ix_payments_paid_at'), 'payments', ['paid_at'])
    op.create_table('credit_notes',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('number', sa.String(length=20), nullable=False),
    sa.Column('invoice_id', sa.UUID(), nullable=False),
    sa.Column('reason', sa.String(length=300), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('amount_cents', sa.BigInteger(), nullable=False),
    sa.Column('due_cents', sa.BigInteger(), nullable=False),
    sa.Column('refund_cents', sa.BigInteger(), nullable=False),
    sa.Column('credit_cents', sa.BigInteger(), nullable=False),
    sa.Column('issued_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('issued_by', sa.String(length=254), nullable=False),
    sa.Column('stripe_credit_note_id', sa.String(length=255), nullable=True),
    sa.CheckConstraint('amount_cents = due_cents + refund_cents + credit_cents', name=op.f('ck_credit_notes_amount_is_sum')),
    sa.CheckConstraint('amount_cents > 0 AND due_cents >= 0 AND refund_cents >= 0 AND credit_cents >= 0', name=op.f('ck_credit_notes_amounts_not_negative')),
    sa.ForeignKeyConstraint(['tenant_id', 'invoice_id'], ['invoices.tenant_id', 'invoices.id'], name=op.f('fk_credit_notes_tenant_id_invoice_id')),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_credit_notes_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credit_notes')),
    sa.UniqueConstraint('number', name=op.f('uq_credit_notes_number')),
    sa.UniqueConstraint('stripe_credit_note_id', name=op.f('uq_credit_notes_stripe_credit_note_id')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_credit_notes_tenant_id_id'))
    )
    op.create_index(op.f('ix_credit_notes_tenant_id_invoice_id'), 'credit_notes', ['tenant_id', 'invoice_id'])
    op.create_table('credit_note_counters',
    sa.Column('year', sa.Integer(), nullable=False),
    sa.Column('last', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('year', name=op.f('pk_credit_note_counters'))
    )
    protect("payments", app=READ, operator=APPEND)
    protect("credit_notes", app=READ, operator=APPEND)
    op.execute(f"GRANT UPDATE (stripe_credit_note_id) ON credit_notes TO {OPERATOR}")
    reserve("credit_note_counters")


def _budgets() -> None:
    op.create_table('budgets',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('api_key_id', sa.UUID(), nullable=True),
    sa.Column('monthly_cents', sa.BigInteger(), nullable=False),
    sa.Column('is_cap', sa.Boolean(), nullable=False),
    sa.Column('webhook_url', sa.String(length=500), nullable=True),
    sa.CheckConstraint('monthly_cents >= 0', name=op.f('ck_budgets_amount_not_negative')),
    sa.ForeignKeyConstraint(['tenant_id', 'api_key_id'], ['api_keys.tenant_id', 'api_keys.id'], name=op.f('fk_budgets_tenant_id_api_key_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_budgets_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_budgets')),
    sa.UniqueConstraint('tenant_id', 'api_key_id', name=op.f('uq_budgets_tenant_id_api_key_id'), postgresql_nulls_not_distinct=True),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_budgets_tenant_id_id'))
    )
    op.create_table('usage_counters',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('api_key_id', sa.UUID(), nullable=True),
    sa.Column('kind', sa.String(32), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('quantity', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id', 'api_key_id'], ['api_keys.tenant_id', 'api_keys.id'], name=op.f('fk_usage_counters_tenant_id_api_key_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_usage_counters_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_usage_counters')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_usage_counters_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', 'starts_at', 'api_key_id', 'kind', name=op.f('uq_usage_counters_tenant_id_starts_at_api_key_id_kind'), postgresql_nulls_not_distinct=True)
    )
    op.create_table('budget_reservations',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('request_id', sa.String(length=64), nullable=False),
    sa.Column('api_key_id', sa.UUID(), nullable=True),
    sa.Column('quantities', postgresql.JSONB(), nullable=False),
    sa.Column('occurs_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['tenant_id', 'api_key_id'], ['api_keys.tenant_id', 'api_keys.id'], name=op.f('fk_budget_reservations_tenant_id_api_key_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_budget_reservations_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_budget_reservations')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_budget_reservations_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', 'request_id', name=op.f('uq_budget_reservations_tenant_id_request_id'))
    )
    op.create_index(op.f('ix_budget_reservations_expires_at'), 'budget_reservations', ['expires_at'])
    op.create_table('budget_alerts',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('budget_id', sa.UUID(), nullable=False),
    sa.Column('month', sa.Date(), nullable=False),
    sa.Column('threshold_percent', sa.BigInteger(), nullable=False),
    sa.Column('spent_cents', sa.BigInteger(), nullable=False),
    sa.Column('reached_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id', 'budget_id'], ['budgets.tenant_id', 'budgets.id'], name=op.f('fk_budget_alerts_tenant_id_budget_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_budget_alerts_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_budget_alerts')),
    sa.UniqueConstraint('tenant_id', 'budget_id', 'month', 'threshold_percent', name=op.f('uq_budget_alerts_tenant_id_budget_id_month_threshold_percent')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_budget_alerts_tenant_id_id'))
    )
    for table in ("budgets", "usage_counters", "budget_reservations", "budget_alerts"):
        protect(table)
    op.execute(_COUNT_USAGE)
    op.execute(
        "CREATE TRIGGER count_usage AFTER INSERT ON usage_facts REFERENCING NEW TABLE AS facts "
        "FOR EACH STATEMENT EXECUTE FUNCTION count_usage()"
    )


def _notifications() -> None:
    op.create_table('notifications',
    sa.Column('tenant_id', sa.UUID(), nullable=False),
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('event', sa.String(length=60), nullable=False),
    sa.Column('reference', sa.String(length=120), nullable=False),
    sa.Column('subject', sa.String(length=200), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('payload', postgresql.JSONB(), nullable=False),
    sa.Column('webhook_url', sa.String(length=500), nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.BigInteger(), nullable=False),
    sa.Column('emailed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('webhook_sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenants.id'], name=op.f('fk_notifications_tenant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notifications')),
    sa.UniqueConstraint('tenant_id', 'id', name=op.f('uq_notifications_tenant_id_id')),
    sa.UniqueConstraint('tenant_id', 'reference', name=op.f('uq_notifications_tenant_id_reference'))
    )
    op.create_index(op.f('ix_notifications_due_at'), 'notifications', ['due_at'], postgresql_where=sa.text('due_at IS NOT NULL'))
    protect("notifications")


def _standing() -> None:
    op.add_column("tenants", sa.Column("past_due_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tenants", sa.Column("payment_suspended_at", sa.DateTime(timezone=True), nullable=True))
