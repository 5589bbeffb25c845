"""Keeping and deleting: how long data is kept, tenants on their way out, and the certificates of what was destroyed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import READ, protect
from migrations.roles import OPERATOR

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    _retention_rules()
    _data_exports()
    _tenant_deletions()
    _destroy_tenant_rows()


def _retention_rules() -> None:
    op.create_table(
        "retention_rules",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("dataset_days", sa.BigInteger(), nullable=True),
        sa.Column("file_days", sa.BigInteger(), nullable=True),
        sa.Column("checkpoint_days", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "dataset_days > 0 AND file_days > 0 AND checkpoint_days > 0",
            name=op.f("ck_retention_rules_days_positive"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_retention_rules_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_rules")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_retention_rules_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_retention_rules_tenant_id")),
    )
    protect("retention_rules")


def _data_exports() -> None:
    op.create_table(
        "data_exports",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("blob", sa.String(255), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_by_id", sa.UUID(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "requested_by_id"],
            ["users.tenant_id", "users.id"],
            name=op.f("fk_data_exports_tenant_id_requested_by_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_data_exports_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_exports")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_data_exports_tenant_id_id")),
    )
    op.create_index(
        "uq_data_exports_under_way",
        "data_exports",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('queued', 'exporting')"),
    )
    protect("data_exports")


def _tenant_deletions() -> None:
    op.create_table(
        "tenant_deletions",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("requested_by_kind", sa.String(32), nullable=False),
        sa.Column("requested_by_id", sa.UUID(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_status", sa.String(32), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("inventory", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("certificate", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("signature", sa.String(64), nullable=True),
        sa.CheckConstraint(
            "(destroyed_at IS NULL) = (certificate IS NULL) AND (certificate IS NULL) = (signature IS NULL)",
            name=op.f("ck_tenant_deletions_certified_once_destroyed"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_tenant_deletions_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_deletions")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_tenant_deletions_tenant_id_id")),
    )
    op.create_index(
        "uq_tenant_deletions_standing",
        "tenant_deletions",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    protect("tenant_deletions", app=READ, operator="SELECT, INSERT, UPDATE")


def _destroy_tenant_rows() -> None:
    # Both roles may only add to the audit log and the ledger, and nobody alters what is invoiced. The one exception is
    # this function: it works for a tenant that is due to be deleted and whose key is gone, and for no other.
    op.execute(
        r"""
        CREATE FUNCTION destroy_tenant_rows(doomed uuid) RETURNS TABLE (name text, kept boolean, row_count bigint)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            kept_tables CONSTANT text[] := ARRAY['credit_entries', 'credit_grants', 'credit_notes', 'invoice_lines',
                'invoices', 'payments', 'stripe_customers', 'stripe_invoices', 'subscriptions', 'tenant_deletions',
                'usage_facts', 'usage_reports'];
            owned text[];
            waiting text[];
            blocked text[];
            address text;
            field record;
        BEGIN
            IF NOT EXISTS (
                SELECT FROM tenant_deletions d JOIN tenants t ON t.id = d.tenant_id
                WHERE t.id = doomed AND d.withdrawn_at IS NULL AND d.destroyed_at IS NULL AND d.due_at <= now()
                    AND t.status = 'deleted' AND octet_length(t.wrapped_data_key) = 0
            ) THEN
                RAISE EXCEPTION 'tenant % is not due to be destroyed', doomed;
            END IF;

            SELECT array_agg(table_name::text ORDER BY table_name) INTO owned
            FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id';

            -- Before the first row goes: to delete one takes others with it.
            FOREACH name IN ARRAY owned LOOP
                kept := name = ANY (kept_tables);
                EXECUTE format('SELECT count(*) FROM %I WHERE tenant_id = $1', name) INTO row_count USING doomed;
                RETURN NEXT;
            END LOOP;

            UPDATE usage_facts SET model_id = NULL, adapter_id = NULL, api_key_id = NULL, job_id = NULL,
                request_id = 'deleted:' || id,
                reason = CASE WHEN reason IS NOT NULL THEN 'removed' END
                WHERE tenant_id = doomed;
            UPDATE stripe_customers SET card = NULL WHERE tenant_id = doomed;
            UPDATE stripe_invoices SET hosted_url = NULL WHERE tenant_id = doomed;
            UPDATE subscriptions SET ends_at = greatest(starts_at, now()) WHERE tenant_id = doomed AND ends_at IS NULL;

            -- Addresses of the tenant's people in what is kept, in the operator's log, and in who closed a month.
            FOR address IN
                SELECT email FROM users WHERE tenant_id = doomed
                UNION SELECT email FROM invites WHERE tenant_id = doomed
            LOOP
                FOR field IN
                    SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
                    WHERE c.table_schema = 'public' AND c.data_type IN ('text', 'character varying', 'jsonb')
                        AND (c.table_name = ANY (kept_tables)
                            OR c.table_name = 'staff_events' AND c.column_name IN ('actor_label', 'detail')
                            OR c.table_name = 'closed_months' AND c.column_name = 'closed_by')
                LOOP
                    EXECUTE format(
                        'UPDATE %1$I SET %2$I = replace(%2$I::text, $1, ''deleted'')::%3$s '
                        'WHERE position($1 IN %2$I::text) > 0 %4$s',
                        field.table_name, field.column_name, field.data_type,
                        CASE WHEN field.table_name = ANY (kept_tables) THEN 'AND tenant_id = $2' ELSE '' END)
                        USING address, doomed;
                END LOOP;
            END LOOP;

            UPDATE models SET current_adapter_id = NULL WHERE tenant_id = doomed;
            -- A table that others still point at waits for the next round, whatever points where.
            SELECT array_agg(t) INTO waiting FROM unnest(owned) t WHERE t <> ALL (kept_tables);
            WHILE cardinality(waiting) > 0 LOOP
                blocked := '{}';
                FOREACH name IN ARRAY waiting LOOP
                    BEGIN
                        EXECUTE format('DELETE FROM %I WHERE tenant_id = $1', name) USING doomed;
                    EXCEPTION WHEN foreign_key_violation THEN
                        blocked := blocked || name;
                    END;
                END LOOP;
                IF cardinality(blocked) = cardinality(waiting) THEN
                    RAISE EXCEPTION 'rows of % are still pointed at', array_to_string(blocked, ', ');
                END IF;
                waiting := blocked;
            END LOOP;
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION destroy_tenant_rows FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION destroy_tenant_rows TO {OPERATOR}")
