"""What each process of the stack is told: secrets, addresses and ports, and to each only what it needs."""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from stack.errors import StackError
from stack.ports import HOST, free_port, is_free
from stack.postgres import DATABASE, OWNER
from stack.state import StateFolder

APP, OPERATOR = "adaptary_app", "adaptary_operator"


def _text() -> str:
    return secrets.token_hex(32)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


# Made once; the data cannot be read without them.
_SECRETS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": _text,
    "API_KEY_PEPPER": _text,
    "MASTER_KEY": _key,
    "POOL_TICKET_KEY": _text,
    "POSTGRES_PASSWORD": _text,
    "OWNER_PASSWORD": _text,
    "APP_PASSWORD": _text,
    "OPERATOR_PASSWORD": _text,
    "REDIS_PASSWORD": _text,
}

_PUBLIC_PORTS = {"WEB_PORT": 8000, "API_PORT": 8001, "POOL_PORT": 8002}

# The shell's variables that reach the pool. It holds neither the database's address nor the master key, so that
# whoever takes it over has no tenant's data.
_POOL_NAMES = {"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LOG_LEVEL"}
_POOL_PREFIXES = ("POOL_", "LC_", "LD_", "PYTHON", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "TORCH_")

# The shell's variables that reach no app: the owner may do anything to the database.
_OWNERS_NAMES = {"DATABASE_URL", "POSTGRES_PASSWORD", "OWNER_PASSWORD"}


@dataclass(frozen=True, slots=True)
class StackEnvironment:
    """The environments of the stack's processes.

    `shell` is the environment that the stack was started in, which wins over all else; `secrets` and
    `addresses` are what it lacks. A port is None where the shell names a server to use instead.
    """

    shell: Mapping[str, str]
    secrets: Mapping[str, str]
    addresses: Mapping[str, str]
    database_url: str
    web_port: int
    api_port: int
    pool_port: int
    postgres_port: int | None
    redis_port: int | None

    @classmethod
    def prepare(cls, shell: Mapping[str, str], folder: StateFolder) -> Self:
        """Read the shell's variables and what `folder` remembers, make up what is missing, and remember it.

        Raises StackError for a port that is taken or no port, and for data whose secrets are lost.
        """
        remembered = folder.remembered()
        if not remembered and (folder.path / "postgres").exists():
            raise StackError(
                f"{folder.path} holds data, but stack.env with its secrets is gone. "
                "Put the file back, or delete the folder to start anew."
            )
        kept = {name: remembered.get(name) or make() for name, make in _SECRETS.items()}
        web, api, pool = _public_ports(shell)
        postgres_port = None if shell.get("DATABASE_URL") else _own_port(remembered.get("POSTGRES_PORT"))
        redis_port = None if shell.get("REDIS_URL") else _own_port(remembered.get("REDIS_PORT"))
        database_url = (
            shell["DATABASE_URL"]
            if postgres_port is None
            else f"postgresql://{OWNER}:{kept['OWNER_PASSWORD']}@{HOST}:{postgres_port}/{DATABASE}"
        )
        addresses = {
            "STATE_DIR": str(folder.path),
            "APP_DATABASE_URL": _as_role(database_url, APP, kept["APP_PASSWORD"]),
            "OPERATOR_DATABASE_URL": _as_role(database_url, OPERATOR, kept["OPERATOR_PASSWORD"]),
            "REDIS_URL": (
                shell["REDIS_URL"]
                if redis_port is None
                else f"redis://:{kept['REDIS_PASSWORD']}@{HOST}:{redis_port}/0"
            ),
            "PORTAL_URL": f"http://{HOST}:{web}",
            "API_URL": f"http://{HOST}:{api}",
            "POOL_URL": f"http://{HOST}:{pool}",
        }
        ports = {"POSTGRES_PORT": postgres_port, "REDIS_PORT": redis_port}
        folder.remember(
            {**remembered, **kept, **addresses, **{name: str(port) for name, port in ports.items() if port}}
        )
        return cls(shell, kept, addresses, database_url, web, api, pool, postgres_port, redis_port)

    def __getitem__(self, name: str) -> str:
        """The value of a variable: the shell's, or else ours."""
        return self.shell.get(name) or self.addresses.get(name) or self.secrets[name]

    def for_apps(self) -> dict[str, str]:
        """For web, api, workers and clock: the shell's variables and those of Settings."""
        settings = ("SECRET_KEY", "API_KEY_PEPPER", "MASTER_KEY", "POOL_TICKET_KEY", *self.addresses)
        shell = {name: value for name, value in self.shell.items() if name not in _OWNERS_NAMES}
        return shell | {name: self[name] for name in settings} | {"STATE_DIR": self.addresses["STATE_DIR"]}

    def for_migrations(self) -> dict[str, str]:
        """For the migrations, which alone connect as the database's owner."""
        return self.for_apps() | {"DATABASE_URL": self.database_url}

    def for_pool(self) -> dict[str, str]:
        """For the pool: its own variables, no secret but the one that tickets are signed with."""
        shell = {
            name: value
            for name, value in self.shell.items()
            if name in _POOL_NAMES or name.startswith(_POOL_PREFIXES)
        }
        return shell | {"POOL_TICKET_KEY": self["POOL_TICKET_KEY"], "POOL_PORT": str(self.pool_port)}


def _public_ports(shell: Mapping[str, str]) -> list[int]:
    """The ports of web, api and pool."""
    ports: dict[int, str] = {}
    for name, default in _PUBLIC_PORTS.items():
        port = _public_port(shell, name, default)
        if port in ports:
            raise StackError(f"{ports[port]} and {name} are both {port}: set one of them to another port.")
        ports[port] = name
    return list(ports)


def _public_port(shell: Mapping[str, str], name: str, default: int) -> int:
    value = shell.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise StackError(f"{name} is {value!r}, which is no port: set it to a number from 1 to 65535.")
    if not is_free(int(value)):
        raise StackError(
            f"Port {value} is taken by another program. "
            f"Set {name} to a free one, for instance {name}={free_port()} make serve"
        )
    return int(value)


def _own_port(remembered: str | None) -> int:
    """The port that a server of ours had, if it is still free."""
    if remembered and is_free(int(remembered)):
        return int(remembered)
    return free_port()


def _as_role(database_url: str, role: str, password: str) -> str:
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise StackError("DATABASE_URL is not a URL like postgresql://user:password@host/database.") from None
    return url.set(username=role, password=password).render_as_string(hide_password=False)
