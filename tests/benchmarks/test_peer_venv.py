"""Environments of the benchmarks' peers."""

import pytest

from benchmarks import peer_venv as peers
from benchmarks.peer_venv import PeerUnavailable, peer_venv


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "FOLDER", tmp_path / "peers")


def test_an_environment_is_made_once_and_anew_for_other_requirements():
    first = peer_venv("peer", "# nothing\n")
    (first / "mark").touch()

    assert (peer_venv("peer", "# nothing\n") / "mark").exists()
    assert not (peer_venv("peer", "# nothing either\n") / "mark").exists()


def test_a_peer_that_does_not_install_says_why():
    with pytest.raises(PeerUnavailable, match=r"peer does not install: .*no-such-folder"):
        peer_venv("peer", "./no-such-folder\n")
