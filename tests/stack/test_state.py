"""The state folder: one stack at a time, and what it remembers."""

import os
import stat
import subprocess
import sys

import pytest

from core.waiting import wait_until
from stack.child import ROOT, spawn
from stack.errors import StackError
from stack.state import StateFolder

_HOLD = """
import sys
from pathlib import Path
from stack.state import StateFolder

with StateFolder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_stack_is_refused_and_told_of_the_first(tmp_path):
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "state")]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(StackError, match=rf"process {first.pid}.*set STATE_DIR"),
            StateFolder(tmp_path / "state"),
        ):
            pass
        first.kill()
    with StateFolder(tmp_path / "state"):
        pass


def test_a_folder_is_taken_while_a_process_of_the_stack_lives(tmp_path):
    with StateFolder(tmp_path / "state") as folder:
        child = spawn(["/bin/sleep", "600"], environ={}, log=None, keep_open=[folder.lock])
    later = StateFolder(tmp_path / "state")
    later.lock = os.open(tmp_path / "state" / "lock", os.O_RDWR)
    assert not later._try_lock()
    child.kill()
    assert wait_until(later._try_lock, 10)
    os.close(later.lock)
    child.wait()


def test_what_is_remembered_is_read_back_and_is_ours_alone(tmp_path):
    with StateFolder(tmp_path / "state") as folder:
        assert folder.remembered() == {}
        folder.remember({"SECRET_KEY": "a=b", "WEB": "1"})
        assert folder.remembered() == {"SECRET_KEY": "a=b", "WEB": "1"}
    assert stat.S_IMODE((tmp_path / "state" / "stack.env").stat().st_mode) == 0o600
