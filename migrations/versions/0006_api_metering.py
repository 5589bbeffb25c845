"""Metering, limits and idempotency of the API's newer calls."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass
