"""`python -m benchmarks [NAME …]`: run the benchmarks, or those named; each compares with a peer in the same run."""

import sys
from collections.abc import Callable

from benchmarks import portal_fine_tune, shared_pool

BENCHMARKS: dict[str, Callable[[], None]] = {
    "shared-pool": shared_pool.run,
    "portal-fine-tune": portal_fine_tune.run,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(
            f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}", file=sys.stderr
        )
        return 1
    for name in names or BENCHMARKS:
        print(f"\n## {name}\n", flush=True)
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
