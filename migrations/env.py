"""Alembic's environment: connects as the owner and compares with core/models.

Migrations go forward only: what a wrong one did is mended by the next, never by running it backwards over
tenants' data.
"""

from typing import Any, Literal

from alembic import context
from sqlalchemy import create_engine

from core.models.all import Base
from core.models.base import STR_ENUM_LENGTH, StrEnumColumn
from migrations.roles import owner_url


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write enum columns as the plain text that they are, so that a migration does not depend on the code."""
    if kind == "type" and isinstance(item, StrEnumColumn):
        return f"sa.String({STR_ENUM_LENGTH})"
    return False


def run() -> None:
    engine = create_engine(owner_url())
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            render_item=render_item,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
