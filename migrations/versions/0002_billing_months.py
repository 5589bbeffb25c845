"""What a line charges for, closed months, and price versions that nobody can alter."""

import sqlalchemy as sa
from alembic import op

from migrations.rls import APPEND, READ
from migrations.roles import APP, OPERATOR

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("invoices", sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("invoice_lines", sa.Column("price_id", sa.UUID(), nullable=False))
    op.add_column("invoice_lines", sa.Column("usage_month", sa.Date(), nullable=False))
    op.alter_column("invoice_lines", "first_at", new_column_name="starts_at", nullable=False)
    op.alter_column("invoice_lines", "last_at", new_column_name="ends_at", nullable=False)
    op.create_foreign_key(
        op.f("fk_invoice_lines_price_id"), "invoice_lines", "plan_prices", ["price_id"], ["id"]
    )
    op.create_table(
        "closed_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(length=254), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_closed_months")),
    )
    op.create_index(
        op.f("ix_usage_facts_recorded_at"), "usage_facts", ["recorded_at"], postgresql_using="brin"
    )
    # A tenant's running cost depends on which months are closed; the table says nothing of any tenant.
    op.execute(f"GRANT {READ} ON closed_months TO {APP}")
    op.execute(f"GRANT {APPEND} ON closed_months TO {OPERATOR}")
    op.execute(f"REVOKE UPDATE, DELETE ON plan_prices FROM {OPERATOR}")
