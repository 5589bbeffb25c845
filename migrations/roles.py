"""The database's roles.

`adaptary_app` is bound by row-level security, `adaptary_operator` is not; neither owns a table. Their names and
passwords come from APP_DATABASE_URL and OPERATOR_DATABASE_URL, and DATABASE_URL is the owner's, which only the
migrations are given. The owner must be able to make roles that bypass row-level security:

    CREATE ROLE adaptary_owner LOGIN PASSWORD '…' CREATEROLE CREATEDB BYPASSRLS;
"""

import os

import psycopg
from psycopg import sql
from sqlalchemy import URL, Connection, make_url

from core.config import ConfigError

APP = "adaptary_app"
OPERATOR = "adaptary_operator"


def owner_url() -> URL:
    """DATABASE_URL, with the driver that we use."""
    return _url("DATABASE_URL")


def ensure_roles(connection: Connection) -> None:
    """Make the two roles, or set the passwords of those that are there."""
    for name, variable, bypass in (
        (APP, "APP_DATABASE_URL", "NOBYPASSRLS"),
        (OPERATOR, "OPERATOR_DATABASE_URL", "BYPASSRLS"),
    ):
        url = _url(variable)
        if url.username != name:
            raise ConfigError(f"{variable}: its user must be {name}")
        exists = connection.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).first()
        # The password travels as its SCRAM verifier: a statement that fails is logged with its text.
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        verifier = driver.pgconn.encrypt_password(str(url.password).encode(), name.encode(), b"scram-sha-256")
        statement = sql.SQL("{} ROLE {} LOGIN NOINHERIT {} PASSWORD {}").format(
            sql.SQL("ALTER" if exists else "CREATE"),
            sql.Identifier(name),
            sql.SQL(bypass),
            sql.Literal(verifier.decode()),
        )
        connection.exec_driver_sql(statement.as_string())


def _url(variable: str) -> URL:
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"{variable}: missing")
    return make_url(value).set(drivername="postgresql+psycopg")
