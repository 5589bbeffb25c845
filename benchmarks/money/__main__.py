"""`python -m benchmarks.money [--quick]`: what the ledger can take and how long a month's close is.

Prints a table and writes benchmarks/billing.json.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.durable_postgres import durable_postgres
from benchmarks.machine import describe
from benchmarks.money import close, ledger
from benchmarks.results import keep, show

FILE = Path(__file__).parent.with_name("billing.json")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.money", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds, at most 100,000 facts"
    )
    quick = parser.parse_args(arguments).quick
    print(describe(), flush=True)
    with durable_postgres() as server:
        rows = [*ledger.measure(server, quick)]
        show(rows)
        rows += close.measure(quick)
    show(rows)
    keep(rows, FILE)
    print(f"\n{len(rows)} rows are in {FILE.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
