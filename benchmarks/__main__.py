"""`python -m benchmarks [--quick] [NAME …]`: run the benchmarks, or those named.

Each compares with a peer in the same run. Prints a table and writes benchmarks/results.json. The first run installs
infinity-emb, Flask and vLLM into environments of their own in .bench/, which takes about ten minutes.
"""

import argparse
import sys
from importlib import import_module

from benchmarks.machine import describe
from benchmarks.results import FILE, Row, keep, show

# A module each, with `measure(quick) -> Iterable[Row]`. Imported one at a time: what one needs is no other's burden.
BENCHMARKS = {
    "encoder": "benchmarks.encoder_pool",
    "chat": "benchmarks.chat_pool",
    "precision": "benchmarks.precision",
    "chat-vllm": "benchmarks.vllm_cpu",
    "servers": "benchmarks.servers",
    "fairness": "benchmarks.fairness",
    "gateway": "benchmarks.gateway_overhead",
    "portal-fine-tune": "benchmarks.portal_fine_tune",
}

NOT_QUICK = {"portal-fine-tune", "precision"}
"""Take minutes whatever is left out, or compare us with ourselves: a quick run does without them."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and no benchmark that takes long")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    print(describe(), flush=True)
    rows: list[Row] = []
    for name in options.names or BENCHMARKS:
        if options.quick and name in NOT_QUICK and name not in options.names:
            continue
        print(f"\n## {name}\n", flush=True)
        found = list(import_module(BENCHMARKS[name]).measure(options.quick))
        show(found)
        keep(found)
        rows += found
    print(f"\n{len(rows)} rows are in {FILE.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
