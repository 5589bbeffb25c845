"""Jobs for the worker's tests: they run in its work-horse."""

import os
import signal
import sys
import time
from pathlib import Path


def wait_forever(pid_file: str) -> None:
    """Write this process's id, and wait."""
    _write(pid_file)
    time.sleep(600)


def wait_and_tidy_up(pid_file: str, tidied: str) -> None:
    """Write this process's id, and wait; at SIGTERM, leave the file `tidied`."""

    def tidy_up(*_: object) -> None:
        Path(tidied).touch()
        sys.exit(0)

    signal.signal(signal.SIGTERM, tidy_up)
    _write(pid_file)
    time.sleep(600)


def note_modules(file: str) -> None:
    """Write whether torch was in this process before the job."""
    Path(f"{file}.new").write_text(str("torch" in sys.modules))
    Path(f"{file}.new").rename(file)


def _write(pid_file: str) -> None:
    Path(f"{pid_file}.new").write_text(str(os.getpid()))
    Path(f"{pid_file}.new").rename(pid_file)
