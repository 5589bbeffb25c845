"""Environments for peers that cannot share ours: each in a folder of `.bench/`, made once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stack.child import ROOT

FOLDER = ROOT / ".bench"
_INSTALL_SECONDS = 600


class PeerUnavailable(Exception):
    """The peer cannot be had on this machine; the message says why."""


def peer_venv(name: str, requirements: str, *, without: Sequence[str] = ()) -> Path:
    """The folder of an environment that has `requirements`, one a line as pip reads them.

    It is made where there is none yet, or one with other requirements, which takes minutes; of what they draw in, the
    packages `without` are removed again. Raises PeerUnavailable.
    """
    folder = FOLDER / name
    installed = folder / "requirements.txt"
    if installed.exists() and installed.read_text(encoding="utf-8") == requirements:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    print(f"Installing {' '.join(requirements.split())} into .bench/{name}, once.", flush=True)
    wanted = folder.with_suffix(".txt")
    wanted.parent.mkdir(exist_ok=True)
    wanted.write_text(requirements, encoding="utf-8")
    try:
        _run(sys.executable, "-m", "venv", str(folder))
        pip = str(folder / "bin" / "pip")
        _run(pip, "install", "--quiet", "--requirement", str(wanted))
        if without:
            _run(pip, "uninstall", "--quiet", "--yes", *without)
    except subprocess.CalledProcessError as error:
        raise PeerUnavailable(f"{name} does not install: {_reason(error.stderr)}") from None
    except subprocess.TimeoutExpired:
        raise PeerUnavailable(f"{name} did not install within {_INSTALL_SECONDS} s") from None
    wanted.rename(installed)
    return folder


def peer_environ(venv: Path) -> dict[str, str]:
    """Variables to start the peer with: it has nothing of ours, fetches nothing and reports to nobody."""
    return {"PATH": os.environ["PATH"], "HOME": str(venv), "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def _reason(output: str) -> str:
    """The error in pip's output, which hints may follow."""
    errors = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    return errors[-1].removeprefix("ERROR: ") if errors else output.strip()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True, timeout=_INSTALL_SECONDS)
