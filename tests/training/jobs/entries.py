"""What a worker process calls in the tests: a job whose recipe lasts until it is told to finish."""

import time
from pathlib import Path

from tests.training.jobs.recipes import Recipe
from training import runner


def run_next_until_told(finish: str) -> None:
    """Run the next job; its recipe has saved a checkpoint when it reaches step 2, and waits there for file `finish`."""

    def wait(step, monitor):
        while step == 2 and not Path(finish).exists():
            monitor.beat(0.5, None)
            time.sleep(0.02)

    runner.run_next(lambda _lease: Recipe(at_step=wait))
