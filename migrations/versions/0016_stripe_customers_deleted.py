"""When the customer of a destroyed tenant was deleted at Stripe."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("stripe_customers", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
