"""How often a fine-tune job lost its worker since its last checkpoint."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "fine_tune_jobs", sa.Column("lost_attempts", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.alter_column("fine_tune_jobs", "lost_attempts", server_default=None)
