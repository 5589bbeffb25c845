"""What is invoiced stays: not even the operator's role alters a line or an amount, or deletes what was used."""

from alembic import op

from migrations.roles import OPERATOR

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(f"REVOKE UPDATE, DELETE ON invoices, invoice_lines, subscriptions FROM {OPERATOR}")
    op.execute(
        "GRANT UPDATE (status, paid_at, voided_at, payment_reference, marked_by, note) "
        f"ON invoices TO {OPERATOR}"
    )
    op.execute(f"GRANT UPDATE (ends_at) ON subscriptions TO {OPERATOR}")
    # Deleting a tenant would take its usage facts and invoices with it.
    op.execute(f"REVOKE DELETE ON tenants FROM {OPERATOR}")
