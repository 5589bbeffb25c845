"""Folders that Postgres can work in."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_tmp_path() -> Iterator[Path]:
    """A temporary folder that every user may pass through.

    pytest's own are closed to others: where we are root, Postgres runs as another user, who cannot reach them.
    """
    folder = Path(tempfile.mkdtemp(prefix="adaptary-stack-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)
