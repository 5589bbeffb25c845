"""The supervisor, with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.waiting import wait_until
from stack.child import ROOT
from stack.errors import StackError
from stack.supervisor import Process, Supervisor
from tests.stack.processes import Journal, is_alive


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs", say=said.append)
    yield supervisor
    supervisor.stop()


def watch_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    """Let the supervisor watch until `condition` holds, for at most some seconds."""
    give_up = time.monotonic() + 20
    supervisor.watch(until=lambda: condition() or time.monotonic() > give_up)
    assert condition()


def test_processes_start_in_order_and_stop_in_reverse(supervisor, journal):
    for name in ("database", "queue", "app"):
        supervisor.start(journal.program(name))
    supervisor.stop()
    assert [(name, what) for name, what, _ in journal.entries()] == [
        ("database", "runs"),
        ("queue", "runs"),
        ("app", "runs"),
        ("app", "ends"),
        ("queue", "ends"),
        ("database", "ends"),
    ]


def test_a_process_that_does_not_stop_is_killed(supervisor, journal):
    supervisor.start(journal.program("stubborn", obedient=False, grace_seconds=0.1))
    (pid,) = journal.pids("stubborn")
    supervisor.stop()
    assert not is_alive(pid)


def test_what_a_process_leaves_in_its_group_ends_with_it(supervisor, tmp_path):
    left = tmp_path / "pid"
    supervisor.start(
        Process(
            name="parent",
            command=["/bin/sh", "-c", f"sleep 600 & echo $! > {left}.new; mv {left}.new {left}; wait"],
            environ={"PATH": os.defpath},
            is_ready=lambda _pid: left.exists(),
        )
    )
    supervisor.stop()
    assert wait_until(lambda: not is_alive(int(left.read_text())), 10)


def test_a_killed_process_is_started_again_and_said_so(supervisor, journal, said):
    supervisor.start(journal.program("app"))
    os.kill(journal.pids("app")[0], signal.SIGKILL)
    watch_until(supervisor, lambda: len(journal.pids("app")) == 2)
    assert "app ended (killed by SIGKILL)" in said[0]
    assert is_alive(journal.pids("app")[1])


def test_each_restart_waits_longer_than_the_last(supervisor, tmp_path, said):
    broken, started = tmp_path / "broken", tmp_path / "started"
    supervisor.start(
        Process(
            name="app",
            command=["/bin/sh", "-c", f"touch {started}; until [ -e {broken} ]; do sleep 0.05; done; exit 3"],
            environ={"PATH": os.defpath},
            is_ready=lambda _pid: started.exists(),
        )
    )
    broken.touch()
    watch_until(supervisor, lambda: len(said) == 3)
    waits = [float(line.partition(" again in ")[2].partition(" s")[0]) for line in said]
    assert waits == [0.5, 1, 2]
    assert "exit status 3" in said[0]


def test_a_process_that_ends_at_once_stops_the_start_with_its_log(supervisor):
    with pytest.raises(StackError, match=r"(?s)broken ended at once \(exit status 7\).*no such table"):
        supervisor.start(
            Process(
                name="broken",
                command=["/bin/sh", "-c", "echo no such table; exit 7"],
                environ={},
                is_ready=lambda _pid: False,
            )
        )


def test_a_process_that_is_never_ready_stops_the_start(supervisor):
    with pytest.raises(StackError, match="idle was not ready"):
        supervisor.start(
            Process(
                name="idle",
                command=["/bin/sleep", "600"],
                environ={},
                is_ready=lambda _pid: False,
                start_seconds=0.1,
            )
        )


def test_a_task_is_waited_for_and_its_failure_told(supervisor, tmp_path):
    made = tmp_path / "made"
    supervisor.run(Process(name="task", command=["/usr/bin/touch", str(made)], environ={}))
    assert made.exists()
    with pytest.raises(StackError, match=r"task failed \(exit status 1\)"):
        supervisor.run(Process(name="task", command=["/bin/false"], environ={}))


_SUPERVISE = """
import sys
from pathlib import Path
from stack.supervisor import Supervisor
from tests.stack.processes import Journal

journal = Journal(Path(sys.argv[1]))
supervisor = Supervisor(Path(sys.argv[1]).parent / "logs")
for name in ("first", "second"):
    supervisor.start(journal.program(name))
print("ready", flush=True)
supervisor.watch(until=lambda: False)
"""


def test_its_processes_end_when_the_supervisor_is_killed(journal):
    command = [sys.executable, "-c", _SUPERVISE, str(journal.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "ready\n"
        supervisor.kill()
    pids = journal.pids("first") + journal.pids("second")
    assert len(pids) == 2
    assert wait_until(lambda: not any(map(is_alive, pids)), 10)
