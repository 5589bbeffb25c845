"""A stack of a benchmark's own, as `make serve` starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack.child import ROOT
from stack.ports import free_port


@dataclass(frozen=True)
class Ports:
    """Where its processes listen, on this machine."""

    web: int = field(default_factory=free_port)
    api: int = field(default_factory=free_port)
    pool: int = field(default_factory=free_port)


@contextmanager
def running_stack(state: Path) -> Iterator[Ports]:
    """A running stack that keeps everything in the folder `state`; it is stopped at the end."""
    ports = Ports()
    environ = {
        **os.environ,
        "STATE_DIR": str(state),
        "WEB_PORT": str(ports.web),
        "API_PORT": str(ports.api),
        "POOL_PORT": str(ports.pool),
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
        yield ports
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
