"""Group commit: requests that end at the same time have their usage written to disk together.

A commit waits for the disk, so one for each request would let a process record only as many as the disk has turns. Here
the first request to come commits for all that wait, while those that come meanwhile gather for the next turn. Each
hears of its facts only once they are durable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Event, Lock

import structlog

from billing.ledger import Fact, check, record_all
from core.db import operator_session

log = structlog.get_logger(__name__)

_LARGEST_GROUP = 256
"""Waiters of one commit. More of them gain nothing, and the last would wait for the first's parameters."""


@dataclass(slots=True)
class _Waiter:
    """A request's facts on their way; `woken` when they are durable, when they failed, or to lead the next group."""

    facts: Sequence[Fact]
    woken: Event = field(default_factory=Event)
    is_durable: bool = False
    error: Exception | None = None
    leads: bool = False


class Recorder:
    """Records facts of any tenants, those of one call together or not at all."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[_Waiter] = []
        self._is_led = False

    def record(self, facts: Sequence[Fact]) -> None:
        """Return once `facts` are durable. What the ledger has already, it keeps as it is.

        Raises UsageConflict where it has one with another quantity, and whatever the database raises.
        """
        waiter = _Waiter(facts)
        with self._lock:
            self._waiting.append(waiter)
            waiter.leads = not self._is_led
            self._is_led = True
        if not waiter.leads:
            waiter.woken.wait()
        if waiter.leads:
            self._lead()
        if not waiter.is_durable:
            raise waiter.error or RuntimeError("The commit of a group of usage facts was cut off.")

    def _lead(self) -> None:
        """Commit for all that wait, the caller among them, and pass the lead on."""
        with self._lock:
            group, self._waiting = self._waiting[:_LARGEST_GROUP], self._waiting[_LARGEST_GROUP:]
        try:
            _commit(group)
        finally:
            with self._lock:
                self._is_led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].woken.set()
            for waiter in group:
                waiter.leads = False
                waiter.woken.set()


@cache
def process_recorder() -> Recorder:
    """This process's recorder."""
    return Recorder()


def _commit(group: Sequence[_Waiter]) -> None:
    try:
        _record(group)
    except Exception as error:
        if len(group) == 1:
            group[0].error = error
            return
        # One that the database or the ledger refuses must not take the others' usage with it.
        log.warning("group_commit_failed", waiters=len(group), error=type(error).__name__)
        for waiter in group:
            _commit([waiter])


def _record(group: Sequence[_Waiter]) -> None:
    facts = [fact for waiter in group for fact in waiter.facts]
    with operator_session("one commit records the usage of every tenant that is waiting for it") as session:
        for fact, already in zip(facts, record_all(session.connection(), facts), strict=True):
            check(fact, already)
        session.commit()
    for waiter in group:
        waiter.is_durable = True
