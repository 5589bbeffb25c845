"""`python -m migrations`: make the roles, bring the database to the newest schema, and add the plans it lacks.

Safe to repeat.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from billing.catalogue import ensure_plans
from core.config import ConfigError
from migrations.roles import ensure_roles, owner_url


def migrate() -> None:
    """Make or update the roles, upgrade to the newest revision, and add the plans of the first catalogue.

    Raises ConfigError where DATABASE_URL, APP_DATABASE_URL or OPERATOR_DATABASE_URL is missing.
    """
    engine = create_engine(owner_url())
    with engine.begin() as connection:
        ensure_roles(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    command.upgrade(config, "head")
    with Session(engine) as session:
        ensure_plans(session)
        session.commit()
    engine.dispose()


if __name__ == "__main__":
    try:
        migrate()
    except ConfigError as error:
        sys.exit(f"Cannot migrate: {error}")
