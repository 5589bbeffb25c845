"""The embedded Postgres: a real server in a temporary folder."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.waiting import wait_until
from stack.child import Child, stop
from stack.ports import free_port
from stack.postgres import DATABASE, OWNER, STOP_SIGNAL, Postgres
from tests.stack.processes import is_alive

OWNER_PASSWORD = "the owner's"


class Server:
    """A server that a test starts and kills, with its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres.at(folder / "postgres", free_port(), "the superuser's")
        self.child: Child | None = None

    def start(self) -> Child:
        self.child = self.postgres.start(self.folder / "log")
        assert wait_until(self.postgres.is_ready, 20), (self.folder / "log").read_text()
        self.postgres.bootstrap(OWNER_PASSWORD)
        return self.child

    def as_owner(self) -> psycopg.Connection:
        host = f"host=127.0.0.1 port={self.postgres.port}"
        return psycopg.connect(
            f"{host} dbname={DATABASE}", user=OWNER, password=OWNER_PASSWORD, autocommit=True
        )

    def stop(self) -> int:
        assert self.child is not None
        return stop(self.child, number=STOP_SIGNAL)


@pytest.fixture
def server(open_tmp_path: Path) -> Iterator[Server]:
    server = Server(open_tmp_path)
    yield server
    if server.child is not None:
        server.stop()


def test_the_owner_makes_roles_and_databases_and_is_no_superuser(server):
    server.start()
    with server.as_owner() as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, True, True, True)
        owner = (
            "SELECT pg_get_userbyid(datdba), datcollate FROM pg_database WHERE datname = current_database()"
        )
        assert connection.execute(owner).fetchone() == (OWNER, "C.UTF-8")


def test_a_wrong_password_is_refused(server):
    server.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.postgres.url("postgres", "wrong"))


def test_data_survives_a_kill_and_the_server_starts_again(server):
    child = server.start()
    with server.as_owner() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert (server.postgres.data / "postmaster.pid").exists()
    server.start()
    with server.as_owner() as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (42,)


def test_a_lock_file_that_names_another_program_is_no_obstacle(server):
    server.start()
    server.stop()
    lock = server.postgres.data / "postmaster.pid"
    with subprocess.Popen(["/bin/sleep", "600"]) as other:
        lock.write_text(f"{other.pid}\n{server.postgres.data}\n")
        server.start()
        assert is_alive(other.pid)
        other.kill()


def test_a_lock_file_that_names_a_zombie_is_no_obstacle(server):
    server.start()
    server.stop()
    zombie = subprocess.Popen(["/bin/true"])
    try:
        assert wait_until(lambda: not is_alive(zombie.pid), 10)
        (server.postgres.data / "postmaster.pid").write_text(f"{zombie.pid}\n{server.postgres.data}\n")
        server.start()
    finally:
        zombie.wait()


def test_a_server_that_lost_its_stack_is_ended_before_the_next_starts(server):
    orphan = server.start()
    server.start()
    assert not is_alive(orphan.pid)
    orphan.wait()


def test_an_initialisation_that_was_broken_off_is_done_again(server):
    unfinished = server.postgres.data.with_name("data.new")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server.start()
    assert not unfinished.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root starts Postgres as another user.")
def test_roots_server_runs_as_nobody_even_from_a_folder_that_is_roots_alone(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = Server(closed)
    try:
        child = server.start()
        assert server.postgres.user is not None
        assert Path(f"/proc/{child.pid}").stat().st_uid == server.postgres.user.uid != 0
        server.stop()
    finally:
        shutil.rmtree((closed / "postgres").resolve())
