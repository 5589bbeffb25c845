"""Folders that Postgres can work in, and stacks."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.waiting import wait_until
from tests.stack.serving import Stack


@pytest.fixture
def open_tmp_path() -> Iterator[Path]:
    """A temporary folder that every user may pass through.

    pytest's own are closed to others: where we are root, Postgres runs as another user, who cannot reach them.
    """
    folder = Path(tempfile.mkdtemp(prefix="adaptary-stack-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stack(open_tmp_path: Path) -> Iterator[Stack]:
    """A stack that the test starts; afterwards nothing of it may run."""
    stack = Stack(open_tmp_path / "state")
    yield stack
    if stack.process.poll() is None:
        stack.process.kill()
        stack.process.wait()
    assert wait_until(lambda: stack.pids() == [], 30)
