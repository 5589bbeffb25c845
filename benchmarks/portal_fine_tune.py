"""TREC question classification, uploaded through the portal and trained with the defaults, on a stack of its own.

Needs ../shared/datasets, which has the public data (Li & Roth 2002), and says so where it is missing.
"""

import csv
import gzip
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Row
from benchmarks.running_stack import running_stack
from stack.child import ROOT
from stack.demo.accounts import enter
from stack.demo.browser import Browser
from stack.demo.datasets import prepare_dataset
from stack.demo.fine_tunes import fine_tune
from stack.demo.memory import Memory
from stack.demo.stories import Story

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
        state = Path(folder) / "state"
        with running_stack(state) as ports, Browser(f"http://127.0.0.1:{ports.web}") as browser:
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
