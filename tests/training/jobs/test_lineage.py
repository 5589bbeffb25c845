"""Which code trained an adapter can be told, in a repository and outside of one."""

import shutil
import subprocess

import pytest

from training import lineage


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A folder that the code seems to run from."""
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "recipe.py").write_text("epochs = 1")
    monkeypatch.setattr(lineage, "_ROOT", tmp_path)
    lineage.code_version.cache_clear()
    yield tmp_path
    lineage.code_version.cache_clear()


def read_again() -> str:
    lineage.code_version.cache_clear()
    return lineage.code_version()


def test_outside_a_repository_the_sources_say_it(sources):
    before = read_again()
    assert before.startswith("sha256:")
    assert read_again() == before
    (sources / "training" / "recipe.py").write_text("epochs = 2")
    assert read_again() != before


@pytest.mark.skipif(shutil.which("git") is None, reason="There is no git.")
def test_in_a_repository_the_commit_says_it_and_whether_files_were_changed_since(sources):
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        command = ["git", "-C", str(sources), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "Begin")
    commit = git("rev-parse", "HEAD")
    assert read_again() == commit
    (sources / "training" / "recipe.py").write_text("epochs = 2")
    assert read_again() == f"{commit}-dirty"
