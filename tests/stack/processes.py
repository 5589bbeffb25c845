"""Small programs for the stack's tests to run, and whether they do."""

import sys
from pathlib import Path

from stack.supervisor import Process

# Says that it runs, and at SIGTERM that it ends.
_PROGRAM = """
import os, signal, sys, time
journal, name, obedient = sys.argv[1], sys.argv[2], sys.argv[3] == "obedient"

def note(what):
    with open(journal, "a") as file:
        print(name, what, os.getpid(), file=file)

def end(*_):
    note("ends")
    sys.exit(0)

signal.signal(signal.SIGTERM, end if obedient else signal.SIG_IGN)
note("runs")
while True:
    time.sleep(60)
"""


class Journal:
    """What the programs of one test wrote, in order: name, what, process id."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[tuple[str, str, int]]:
        if not self.path.exists():
            return []
        words = (line.split() for line in self.path.read_text().splitlines())
        return [(name, what, int(pid)) for name, what, pid in words]

    def pids(self, name: str) -> list[int]:
        """The process ids that program `name` has had, in order."""
        return [pid for who, what, pid in self.entries() if (who, what) == (name, "runs")]

    def program(self, name: str, *, obedient: bool = True, grace_seconds: float = 10) -> Process:
        """A process that is ready once it has said that it runs."""
        manner = "obedient" if obedient else "stubborn"
        return Process(
            name=name,
            command=[sys.executable, "-c", _PROGRAM, str(self.path), name, manner],
            environ={},
            is_ready=lambda pid: pid in self.pids(name),
            start_seconds=20,
            grace_seconds=grace_seconds,
        )


def is_alive(pid: int) -> bool:
    """Whether process `pid` runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
