"""Keeping and deleting: how long what is kept, tenants on their way out, and certificates of what was destroyed."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    pass
