"""TREC question classification, uploaded through the portal and trained with the defaults, on a stack of its own.

Needs ../shared/datasets, which has the public data (Li & Roth 2002), and says so where it is missing.
"""

import csv
import gzip
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.results import Row
from stack.child import ROOT
from stack.demo.accounts import enter
from stack.demo.browser import Browser
from stack.demo.datasets import prepare_dataset
from stack.demo.fine_tunes import fine_tune
from stack.demo.memory import Memory
from stack.demo.stories import Story
from stack.ports import free_port

DATASETS = ROOT.parent / "shared" / "datasets"


def measure(quick: bool) -> Iterator[Row]:  # noqa: ARG001 - there is no quicker way to the whole job
    """Print what the portal says of the fine-tune, and tell how long everything took."""
    if not DATASETS.is_dir():
        print("Skipped: ../shared/datasets is not there.")
        return
    with tempfile.TemporaryDirectory(prefix="adaptary-bench-") as folder:
        file = Path(folder) / "trec.csv"
        file.write_text(_trec(), encoding="utf-8")
        story = Story(
            company="TREC",
            person="Bench",
            email="bench@trec.example",
            file=file,
            dataset="TREC",
            model="trec",
            plan=None,
            app="bench",
            requests=(),
        )
        with _stack(Path(folder) / "state") as (portal_url, state), Browser(portal_url) as browser:
            started = time.monotonic()
            enter(browser, story, Memory.load(state))
            fine_tune(browser, story, prepare_dataset(browser, story))
            seconds = time.monotonic() - started
    yield Row(
        "fine-tune/trec",
        round(seconds),
        None,
        None,
        "s",
        "TREC from signing up to the evaluation, with the defaults, through the portal",
    )


def _trec() -> str:
    """The training and the test file as one table, with a column that says which row is whose."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("text", "label", "split"))
    for split in ("train", "test"):
        with gzip.open(DATASETS / f"trec_{split}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            writer.writerows((row["text"], row["label"], split) for row in csv.DictReader(file))
    return out.getvalue()


@contextmanager
def _stack(state: Path) -> Iterator[tuple[str, Path]]:
    """A running stack, by its portal's address and its state folder; it is stopped at the end."""
    web = free_port()
    environ = {
        **os.environ,
        "STATE_DIR": str(state),
        "WEB_PORT": str(web),
        "API_PORT": str(free_port()),
        "POOL_PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "stack", "serve"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        else:
            raise RuntimeError("The stack did not start.")
        yield f"http://127.0.0.1:{web}", state
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
