"""Usage facts a second, durable: the ledger's against Postgres' own, with the same rows in the same table.

Each way to write is measured in turns with its plain counterpart, on a server that syncs every commit: 64 requests
that end at once, 32 of them, and facts in bulk.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from threading import Lock

import psycopg

from benchmarks.money.facts import Customer, endless_facts, make_customers
from benchmarks.money.raw import RawGroupCommit, insert_many, insert_one
from benchmarks.results import Row
from billing.ledger import Fact, record_all
from billing.periods import Month
from billing.recording import Recorder
from core.clock import now
from core.db import operator_session
from stack.postgres import Postgres

CUSTOMERS = 16
ROUNDS, QUICK_ROUNDS = 7, 3
SECONDS, QUICK_SECONDS = 4.0, 2.0
BULK = 2_000
AIM = 0.8


@dataclass(frozen=True)
class _Load:
    """Facts a second over a round, and how long each write took, in milliseconds."""

    facts_a_second: float
    milliseconds: list[float]

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.milliseconds, n=100)[98]


def measure(server: Postgres, quick: bool) -> Iterator[Row]:
    """The ledger's rows a second, by how they come."""
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with operator_session("bench") as session:
        customers = make_customers(session, CUSTOMERS, Month.containing(now()))
        session.commit()
    recorder = Recorder()

    def ours(fact: Fact) -> None:
        recorder.record([fact])

    with RawGroupCommit(server.url("postgres", server.password)) as raw:
        grouped = _race(customers, 64, seconds, rounds, ours, lambda _: raw.record)
    yield _row("ledger/raw-postgres", grouped, "64 requests at once; peer: group commit by plain psycopg")
    with ExitStack() as stack:
        url = server.url("postgres", server.password)
        connections = [stack.enter_context(psycopg.connect(url)) for _ in range(32)]
        single = _race(
            customers,
            32,
            seconds,
            rounds,
            ours,
            lambda worker: lambda fact: insert_one(connections[worker], fact),
        )
        yield _row(
            "ledger/raw-postgres-row-per-commit",
            single,
            "32 requests at once; peer: a commit for each row over 32 connections",
        )
        yield _bulk(customers, connections[0], rounds)


Write = Callable[[Fact], None]


def _race(
    customers: list[Customer],
    workers: int,
    seconds: float,
    rounds: int,
    ours: Write,
    raw_of: Callable[[int], Write],
) -> tuple[_Load, _Load]:
    """The median rounds of both sides, taken in turns."""
    sides: tuple[list[_Load], list[_Load]] = ([], [])
    for _ in range(rounds):
        sides[0].append(_load(customers, workers, seconds, lambda _: ours))
        sides[1].append(_load(customers, workers, seconds, raw_of))
    return _median(sides[0]), _median(sides[1])


def _median(loads: list[_Load]) -> _Load:
    return sorted(loads, key=lambda load: load.facts_a_second)[len(loads) // 2]


def _load(customers: list[Customer], workers: int, seconds: float, write_of: Callable[[int], Write]) -> _Load:
    facts, lock = endless_facts(customers), Lock()
    until = time.perf_counter() + seconds

    def run(worker: int) -> list[float]:
        write, took = write_of(worker), []
        while (begun := time.perf_counter()) < until:
            with lock:
                fact = next(facts)
            write(fact)
            took.append((time.perf_counter() - begun) * 1000)
        return took

    begun = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        took = [one for worker in threads.map(run, range(workers)) for one in worker]
    return _Load(len(took) / (time.perf_counter() - begun), took)


def _row(name: str, sides: tuple[_Load, _Load], setting: str) -> Row:
    ours, raw = sides
    return Row(
        name,
        ours.facts_a_second,
        raw.facts_a_second,
        ours.facts_a_second / raw.facts_a_second,
        "facts/s",
        f"{setting}, {CUSTOMERS} tenants; p99 {ours.p99:.1f} ms, peer {raw.p99:.1f} ms. Aim: {AIM:g} of the peer",
    )


def _bulk(customers: list[Customer], connection: psycopg.Connection, rounds: int) -> Row:
    facts = endless_facts(customers)

    def record(batch: list[Fact]) -> None:
        with operator_session("bench") as session:
            record_all(session.connection(), batch)
            session.commit()

    speeds: dict[str, list[float]] = {"ours": [], "raw": []}
    sides: dict[str, Callable[[list[Fact]], None]] = {
        "ours": record,
        "raw": lambda batch: insert_many(connection, batch),
    }
    for _ in range(rounds * 3):
        for name, write in sides.items():
            batch = list(islice(facts, BULK))
            begun = time.perf_counter()
            write(batch)
            speeds[name].append(BULK / (time.perf_counter() - begun))
    ours, raw = (statistics.median(speeds[name]) for name in ("ours", "raw"))
    setting = (
        f"{BULK} facts in one statement and commit; peer: the same by plain psycopg. Aim: {AIM:g} of the peer"
    )
    return Row("ledger/raw-postgres-bulk", ours, raw, ours / raw, "facts/s", setting)
