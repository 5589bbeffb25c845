"""Findings of a dataset version that its owner corrected."""

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    pass
