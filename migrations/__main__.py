"""`python -m migrations`: make the roles and bring the database to the newest schema. Safe to repeat."""

import sys

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from core.config import ConfigError
from migrations.roles import ensure_roles, owner_url


def migrate() -> None:
    """Make or update the roles, then upgrade to the newest revision.

    Raises ConfigError where DATABASE_URL, APP_DATABASE_URL or OPERATOR_DATABASE_URL is missing.
    """
    engine = create_engine(owner_url())
    with engine.begin() as connection:
        ensure_roles(connection)
    engine.dispose()
    config = Config()
    config.set_main_option("script_location", "migrations")
    command.upgrade(config, "head")


if __name__ == "__main__":
    try:
        migrate()
    except ConfigError as error:
        sys.exit(f"Cannot migrate: {error}")
