"""The lists of values in privacy policies, sealed under their tenant's key."""

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    pass
