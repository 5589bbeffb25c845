"""The API as gunicorn runs it, for tests that need real connections and more than one process."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from stack.ports import free_port
from tests.inference.pool_process import ROOT, wait_until_ready

THREADS = 8


class ApiProcess:
    """gunicorn as in production, with its workers in one process group."""

    def __init__(self, *, log: Path | None = None, **variables: str) -> None:
        """`log` gets what it prints; without, that goes where the tests' own output goes."""
        self._log = log
        self._environ = {**os.environ, "LOG_LEVEL": "WARNING", **variables}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = ["-m", "gunicorn", "wsgi:api", "-b", f"127.0.0.1:{self.port}"]
        options = ["-w", "2", "-k", "gthread", "--threads", str(THREADS), "--log-level", "error"]
        with self._log.open("ab") if self._log else nullcontext() as output:
            self.process = subprocess.Popen(
                [sys.executable, *command, *options],
                cwd=ROOT,
                env=self._environ,
                start_new_session=True,
                stdout=output,
                stderr=output,
            )
        wait_until_ready(f"{self.url}/healthz", self.process)

    def kill(self) -> None:
        """Kill -9 of master and workers at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
