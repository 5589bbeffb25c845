"""What Postgres itself can do with the ledger's rows: plain psycopg, the same table, nothing checked."""

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Self
from uuid import uuid4

import psycopg

from billing.ledger import Fact

_COLUMNS = "id, tenant_id, request_id, kind, quantity, inputs, source, api_key_id, occurred_at"
_ONE = f"INSERT INTO usage_facts ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
_MANY = f"""INSERT INTO usage_facts ({_COLUMNS}) SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[],
    %s::bigint[], %s::bigint[], %s::text[], %s::uuid[], %s::timestamptz[])"""


def _row(fact: Fact) -> tuple[object, ...]:
    usage = fact.usage
    return (
        uuid4(),
        fact.tenant_id,
        usage.request_id,
        usage.kind.value,
        usage.quantity,
        usage.inputs,
        usage.source.value,
        usage.api_key_id,
        usage.occurred_at,
    )


def insert_one(connection: psycopg.Connection, fact: Fact) -> None:
    """One row, in one commit."""
    connection.execute(_ONE, _row(fact))
    connection.commit()


def insert_many(connection: psycopg.Connection, facts: Sequence[Fact]) -> None:
    """Many rows in one statement and one commit."""
    connection.execute(_MANY, tuple(map(list, zip(*map(_row, facts), strict=True))))
    connection.commit()


class RawGroupCommit:
    """One thread that commits for all that wait: what a group commit is at its simplest."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        self._queue: SimpleQueue[tuple[Fact, Event] | None] = SimpleQueue()
        self._thread = Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def record(self, fact: Fact) -> None:
        """Return once the row is durable."""
        written = Event()
        self._queue.put((fact, written))
        written.wait()

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            while not self._queue.empty():
                if (more := self._queue.get()) is None:
                    self._queue.put(None)
                    break
                group.append(more)
            insert_many(self._connection, [fact for fact, _ in group])
            for _, written in group:
                written.set()
