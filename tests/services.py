"""Postgres and Valkey for the tests: started once a run, in a temporary folder, a database for each worker."""

import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from psycopg import sql

from core.config import Settings
from core.waiting import wait_until
from stack.child import ROOT, Child, stop
from stack.ports import free_port
from stack.postgres import DATABASE, FAST_AND_LOOSE, OWNER, Postgres
from stack.postgres import STOP_SIGNAL as STOP_POSTGRES
from stack.valkey import Valkey

_START_SECONDS = 30
_REDIS_DATABASES = 64
_KEPT = {"alembic_version"}


@dataclass(frozen=True, slots=True)
class Services:
    """The servers' addresses and passwords; any process of the run can make one."""

    folder: str
    postgres_port: int
    valkey_port: int
    password: str
    master_key: str

    @classmethod
    def choose(cls) -> Self:
        """New ones, not yet started."""
        folder = Path(tempfile.mkdtemp(prefix="adaptary-tests-"))
        folder.chmod(0o711)  # Postgres runs as another user where we are root
        master_key = base64.b64encode(secrets.token_bytes(32)).decode()
        return cls(str(folder), free_port(), free_port(), secrets.token_hex(24), master_key)

    @property
    def postgres(self) -> Postgres:
        return Postgres.at(
            Path(self.folder, "postgres"), self.postgres_port, self.password, options=FAST_AND_LOOSE
        )

    @property
    def valkey(self) -> Valkey:
        return Valkey(Path(self.folder, "valkey"), self.valkey_port, self.password, _REDIS_DATABASES)

    def environ(self, database: str, redis_database: int) -> dict[str, str]:
        """The variables of Settings, and DATABASE_URL for the migrations."""

        def url(role: str) -> str:
            return f"postgresql://{role}:{self.password}@127.0.0.1:{self.postgres_port}/{database}"

        state = Path(self.folder, database)
        return {
            "ADAPTARY_ENV": "test",
            "SECRET_KEY": "secret-key-" + self.password,
            "API_KEY_PEPPER": "pepper-" + self.password,
            "MASTER_KEY": self.master_key,
            "POOL_TICKET_KEY": "tickets-" + self.password,
            "DATABASE_URL": url(OWNER),
            "APP_DATABASE_URL": url("adaptary_app"),
            "OPERATOR_DATABASE_URL": url("adaptary_operator"),
            "REDIS_URL": self.valkey.url(redis_database),
            "STATE_DIR": str(state),
            "BLOB_URL": f"file://{state}/blobs",
            "LOG_LEVEL": "WARNING",
            "TRIAL_CREDIT_CENTS": "0",  # what a test's tenant used is asked for; the trial has a test of its own
        }


def set_environment(environ: dict[str, str]) -> None:
    """Make `environ` the settings of this process, and none of those that its shell had."""
    for field in fields(Settings):
        os.environ.pop(field.name.upper(), None)
    os.environ.update(environ)


class RunningServices:
    """The servers as children of this process."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._valkey: Child | None = None
        self._postgres: Child | None = None

    def start(self) -> None:
        """Start both, and migrate the database that the workers' ones are copied from."""
        services, log = self.services, Path(self.services.folder, "services.log")
        self._valkey = services.valkey.start(log)
        self._postgres = services.postgres.start(log)
        ready = wait_until(services.postgres.is_ready, _START_SECONDS) and wait_until(
            services.valkey.is_ready, _START_SECONDS
        )
        if not ready:
            raise RuntimeError(f"The test services did not start:\n{log.read_text()}")
        services.postgres.bootstrap(services.password)
        migration = subprocess.run(
            [sys.executable, "-m", "migrations"],
            cwd=ROOT,
            env={**os.environ, **services.environ(DATABASE, 0)},
            capture_output=True,
            text=True,
        )
        if migration.returncode != 0:
            raise RuntimeError(f"The migrations failed:\n{migration.stdout}{migration.stderr}")

    def make_database(self, name: str) -> None:
        """A copy of the migrated database."""
        with self.services.postgres.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(DATABASE), sql.Identifier(OWNER)
                )
            )

    def stop(self) -> None:
        """Stop both and delete their folder."""
        if self._valkey:
            stop(self._valkey, grace_seconds=0)
        if self._postgres:
            stop(self._postgres, number=STOP_POSTGRES)
        shutil.rmtree(self.services.folder, ignore_errors=True)


class Cleaner:
    """Brings a worker's database back to what the migrations left in it."""

    def __init__(self, services: Services, database: str) -> None:
        self._connection = services.postgres.connect(database)
        # Rows go in any order, and what holds their locks is named rather than waited for.
        self._connection.execute("SET session_replication_role = replica; SET lock_timeout = '10s'")
        tables = self._connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        self._tables = sorted({name for (name,) in tables} - _KEPT)
        self._reference = {table: self._copy_out(table) for table in self._filled()}

    def clean(self) -> None:
        filled = self._filled()
        for table in filled:
            if table not in self._reference:
                self._connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for table, rows in self._reference.items():
            if table not in filled or self._copy_out(table) != rows:
                self._restore(table, rows)

    def close(self) -> None:
        self._connection.close()

    def _filled(self) -> list[str]:
        probe = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(
                sql.Literal(table), sql.Identifier(table)
            )
            for table in self._tables
        )
        return [table for (table,) in self._connection.execute(probe)]

    def _copy_out(self, table: str) -> bytes:
        statement = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            return b"".join(copy)

    def _restore(self, table: str, rows: bytes) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                copy.write(rows)
