"""Looking into a process that runs: what it was told, what it holds open, what is in its memory."""

import base64
import os
import re
from pathlib import Path

_SECRETS = (
    "SECRET_KEY",
    "API_KEY_PEPPER",
    "MASTER_KEY",
    "POOL_TICKET_KEY",
    "APP_DATABASE_URL",
    "OPERATOR_DATABASE_URL",
)
_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p ")
_PIECE = 16 << 20


def secrets() -> list[bytes]:
    """This environment's keys and passwords, as they are written and as the bytes that they mean."""
    values = [os.environ[name] for name in _SECRETS]
    passwords = re.findall(r"://[^:/]*:([^@]+)@", " ".join([*values, os.environ["REDIS_URL"]]))
    return [*(value.encode() for value in values + passwords), base64.b64decode(os.environ["MASTER_KEY"])]


def descendants(pid: int) -> list[int]:
    """The processes that `pid` has started, and those that they have; the last one last."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *descendants(child))]


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def mapped(pid: int) -> str:
    """The files that it has in its memory, as lines."""
    return Path(f"/proc/{pid}/maps").read_text()


def open_files(pid: int) -> list[str]:
    return sorted(str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())


def connections(pid: int) -> list[str]:
    """The TCP sockets of its network."""
    tables = (Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6"))
    return [line for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]


def in_memory(pid: int, wanted: list[bytes]) -> list[bytes]:
    """Which of `wanted` stand in the memory that it has written."""
    found = set()
    longest = max(map(len, wanted))
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in ((int(one, 16), int(other, 16)) for one, other in _LINE.findall(mapped(pid))):
            kept = b""
            for at in range(start, end, _PIECE):
                try:
                    memory.seek(at)
                    piece = kept + memory.read(min(_PIECE, end - at))
                except OSError:
                    break  # reserved, and never touched
                found |= {one for one in wanted if one in piece}
                kept = piece[-longest:]
    return sorted(found)
