"""Accounts: passkeys, addresses that are verified, and the models that a key may call."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    pass
