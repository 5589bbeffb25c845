"""A Postgres of a benchmark's own that syncs each commit to disk, migrated, with this process's settings on it."""

import base64
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.config import get_settings
from core.db import dispose_engines
from core.waiting import wait_until
from stack.child import ROOT, stop
from stack.ports import free_port
from stack.postgres import OWNER, STOP_SIGNAL, Postgres

_START_SECONDS = 30


@contextmanager
def durable_postgres() -> Iterator[Postgres]:
    """A running, migrated server, with nothing but the first catalogue of plans in it."""
    with tempfile.TemporaryDirectory(prefix="adaptary-bench-") as folder:
        Path(folder).chmod(0o711)  # Postgres runs as another user where we are root
        password = secrets.token_hex(24)
        server = Postgres.at(Path(folder, "postgres"), free_port(), password)
        child = server.start(Path(folder, "postgres.log"))
        try:
            if not wait_until(server.is_ready, _START_SECONDS):
                raise RuntimeError(Path(folder, "postgres.log").read_text())
            server.bootstrap(password)
            with _settings(server, folder, password) as environ:
                subprocess.run([sys.executable, "-m", "migrations"], cwd=ROOT, env=environ, check=True)
                yield server
        finally:
            stop(child, number=STOP_SIGNAL)


@contextmanager
def _settings(server: Postgres, folder: str, password: str) -> Iterator[dict[str, str]]:
    added = {
        "ADAPTARY_ENV": "test",
        **dict.fromkeys(("SECRET_KEY", "API_KEY_PEPPER", "POOL_TICKET_KEY"), password),
        "MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "DATABASE_URL": server.url(OWNER, password),
        "APP_DATABASE_URL": server.url("adaptary_app", password),
        "OPERATOR_DATABASE_URL": server.url("adaptary_operator", password),
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nothing here is queued
        "STATE_DIR": str(Path(folder, "state")),
        "LOG_LEVEL": "WARNING",
    }
    before = dict(os.environ)
    os.environ.update(added)
    get_settings.cache_clear()
    try:
        yield dict(os.environ)
    finally:
        dispose_engines()
        os.environ.clear()
        os.environ.update(before)
        get_settings.cache_clear()
