"""Privacy policies: an operator for each entity, lists, and what applied to each dataset and prediction."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    pass
