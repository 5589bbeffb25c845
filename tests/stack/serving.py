"""A whole stack for a test: `python -m stack serve` in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

from core.waiting import wait_until
from stack.child import ROOT
from stack.ports import free_port

START_SECONDS = 180


class Stack:
    """A stack of its own, in a folder of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        self.environ = {name: os.environ[name] for name in kept if name in os.environ}
        self.environ |= {name: str(free_port()) for name in ("WEB_PORT", "API_PORT", "POOL_PORT")}
        self.environ |= {"STATE_DIR": str(state), "PYTHONUNBUFFERED": "1"}
        self.environ["TRIAL_CREDIT_CENTS"] = "0"  # so that the first cents are asked for
        self.output = state.parent / "output"

    def start(self) -> None:
        """Start it, and return once it serves."""
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stack", "serve"],
                cwd=ROOT,
                env=self.environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: "Ctrl-C" in self.said() or self.process.poll() is not None, START_SECONDS)
        assert self.process.poll() is None, self.said()
        assert "Ctrl-C" in self.said(), self.said()

    def said(self) -> str:
        return self.output.read_text()

    def log(self, name: str) -> str:
        """What its process of that name wrote."""
        return (self.state / "logs" / f"{name}.log").read_text()

    def pids(self) -> list[int]:
        """Its processes': those that hold the state folder's lock open, and nobody else does."""
        lock = self.state.absolute() / "lock"
        return [int(pid.name) for pid in Path("/proc").glob("[0-9]*") if _has_open(pid, lock)]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command in another shell, which knows no more than the state folder."""
        environ = {name: self.environ[name] for name in ("PATH", "STATE_DIR")}
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
        )


def _has_open(pid: Path, path: Path) -> bool:
    try:
        return any(link.readlink() == path for link in (pid / "fd").iterdir())
    except OSError:
        return False
