"""Where a stack keeps things besides its folder, written into files that can be searched like it."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import httpx
from psycopg import Connection, sql
from redis import Redis

from core.waiting import wait_until
from stack.demo.browser import Browser

_LOOK_SECONDS = 0.01


def write_tables(connection: Connection, folder: Path) -> list[str]:
    """Every table of the database, those of Postgres itself too, each row as its text; their names."""
    folder.mkdir(parents=True)
    tables = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'pg_toast'"
    ).fetchall()
    for schema, table in tables:
        rows = sql.SQL("COPY (SELECT t::text FROM {} t) TO STDOUT").format(sql.Identifier(schema, table))
        with (
            (folder / f"{schema}.{table}").open("wb") as file,
            connection.cursor() as cursor,
            cursor.copy(rows) as copy,
        ):
            file.writelines(copy)
    return [f"{schema}.{table}" for schema, table in tables]


def write_out_postgres(connection: Connection) -> None:
    """Have the server write what it has in memory into its data files and its log of changes."""
    connection.execute("CHECKPOINT")
    connection.execute("SELECT pg_switch_wal()")


def write_redis(redis: Redis, folder: Path) -> None:
    """Every key of every database and what it holds, a file each."""
    folder.mkdir(parents=True)
    for number, key in enumerate(redis.scan_iter(count=1000)):
        kind = redis.type(key).decode()  # type: ignore[union-attr]
        (folder / f"{number}").write_bytes(key + b"\n" + b"\n".join(_flat(_READ[kind](redis, key))))


_READ = {
    "string": lambda redis, key: redis.get(key),
    "hash": lambda redis, key: redis.hgetall(key),
    "list": lambda redis, key: redis.lrange(key, 0, -1),
    "set": lambda redis, key: redis.smembers(key),
    "zset": lambda redis, key: redis.zrange(key, 0, -1),
    "stream": lambda redis, key: redis.xrange(key),
}


def _flat(value: object) -> Iterable[bytes]:
    match value:
        case bytes():
            yield value
        case dict():
            yield from _flat([*value.keys(), *value.values()])
        case list() | tuple() | set():
            for one in value:
                yield from _flat(one)


def write_answers(client: httpx.Client, paths: Iterable[str], folder: Path) -> None:
    """What somebody gets to see at `paths`, a file each. Raises AssertionError where one is not to be seen."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        response = client.get(path)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        (folder / path.strip("/").replace("/", "_").replace("?", "_")).write_bytes(response.content)


def write_pages(browser: Browser, paths: Iterable[str], folder: Path) -> None:
    """The pages at `paths` as somebody who is signed in sees them, a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        (folder / f"page{path.replace('/', '_')}").write_bytes(browser.download(path).content)


class Keeper:
    """Keeps every file that comes into a folder, also once whoever made it has deleted it: by a second name for it."""

    def __init__(self, watched: Path, kept: Path) -> None:
        kept.mkdir(parents=True)
        self._watched = watched
        self._kept = kept
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def has_seen(self, name: str) -> bool:
        return wait_until(lambda: any(self._kept.glob(f"*-{name}")), 10)

    def _run(self) -> None:
        while not self._done.wait(_LOOK_SECONDS):
            for path in self._watched.rglob("*"):
                self._keep(path)

    def _keep(self, path: Path) -> None:
        try:
            status = path.stat()
            if path.is_file():
                (self._kept / f"{status.st_ino}-{path.name}").hardlink_to(path)
        except OSError:
            return  # it is gone already, or kept
