"""How long it takes to rate and invoice a month, how much memory, and how both grow with what was used."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.money.facts import fill_month, make_customers
from benchmarks.results import Row
from billing.close import close_month
from billing.periods import Month
from core.db import operator_session
from core.tenancy import Actor, ActorKind
from stack.child import ROOT

FACTS_EACH = 1_000
TENANTS, QUICK_TENANTS = (10, 100, 1_000), (10, 100)
_FIRST = Month(2025, 1)
_CLOCK = Actor(ActorKind.SYSTEM, None, "clock")


@dataclass(frozen=True)
class _Closed:
    facts: int
    seconds: float
    megabytes: float

    @property
    def microseconds_a_fact(self) -> float:
        return self.seconds / self.facts * 1e6


def measure(quick: bool) -> Iterator[Row]:
    """A month closed for ever more tenants, each with as many facts: linear growth is the same time a fact."""
    closed: list[_Closed] = []
    month = _FIRST
    for tenants in QUICK_TENANTS if quick else TENANTS:
        with operator_session("bench") as session:
            customers = make_customers(session, tenants, month)
            fill_month(session, customers, month, FACTS_EACH)
            session.commit()
        closed.append(_close(month, tenants * FACTS_EACH))
        month = month.next
        yield Row(
            f"close/{closed[-1].facts}",
            closed[-1].seconds,
            None,
            None,
            "s",
            f"{tenants} tenants with {FACTS_EACH} facts each, rated and invoiced in one transaction; "
            f"{closed[-1].megabytes:.0f} MB at most in its process",
        )
    first, last = closed[0], closed[-1]
    yield Row(
        "close/growth",
        last.microseconds_a_fact,
        first.microseconds_a_fact,
        last.microseconds_a_fact / first.microseconds_a_fact,
        "µs/fact",
        f"time a fact at {last.facts:,} facts over that at {first.facts:,}; 1 is linear",
    )


def _close(month: Month, facts: int) -> _Closed:
    """Close `month` in a process of its own, so that its memory is its own."""
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.money.close", str(month)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    seconds, kilobytes = map(float, output.splitlines()[-1].split())
    return _Closed(facts, seconds, kilobytes / 1024)


def main(month: Month) -> None:
    """Close `month`; print the seconds that it took and the most memory used, in kilobytes."""
    with operator_session("bench") as session:
        begun = time.perf_counter()
        close_month(session, month, _CLOCK)
        session.commit()
        seconds = time.perf_counter() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main(Month.parse(sys.argv[1]))
