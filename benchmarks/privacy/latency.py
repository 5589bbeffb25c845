"""How long a detector takes for one text, on one core."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.privacy.detectors import Find

_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of processor time: what it takes on a core of its own, whatever else the machine does."""

    p50: float
    p95: float


def latency(find: Find, texts: Sequence[str]) -> Latency:
    """Of one text at a time. Every detector computes in the thread that calls it."""
    for text in texts[:_WARM_UP]:
        find([text])
    took = []
    for text in texts:
        started = time.process_time()
        find([text])
        took.append((time.process_time() - started) * 1000)
    return Latency(statistics.median(took), statistics.quantiles(took, n=20)[-1])
