"""What the process that trains cannot do, tried out: hostile code that runs in it finds every door closed."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stack.child import ROOT
from training.confined.fences import CALLS, FILES, NAMESPACES
from training.confined.folders import private_folder
from training.confined.process import clean_environment

# Confines itself, unless it is to be free, and then tries everything.
_HOSTILE = """
import json, os, socket, subprocess, sys
from pathlib import Path
from training.confined.fences import confine
folder, secret, port, parent, manner = sys.argv[1:]
missing = confine(int(parent), Path(folder)) if manner == "confined" else os.chdir(folder)

def can(do):
    try:
        do()
    except OSError:
        return False
    return True

import ctypes
print(json.dumps({
    "missing": missing,
    "read a secret": can(lambda: Path(secret).read_bytes()),
    "list its folder": can(lambda: os.listdir(Path(secret).parent)),
    "read its parent's environment": can(lambda: Path(f"/proc/{parent}/environ").read_bytes()),
    "read its parent's memory": can(lambda: open(f"/proc/{parent}/mem", "rb")),
    "read accounts": can(lambda: Path("/etc/shadow").read_bytes()),
    "write elsewhere": can(lambda: Path(secret).with_name("planted").write_text("x")),
    "write to its folder": can(lambda: Path("own").write_text("x")),
    "fill the disk": can(lambda: Path("large").write_bytes(bytes(65 << 20))),
    "connect": can(lambda: socket.create_connection(("127.0.0.1", int(port)), 2)),
    "reach a service by its path": can(lambda: socket.socket(socket.AF_UNIX).connect(secret + ".socket")),
    "listen": can(lambda: socket.create_server(("127.0.0.1", 0))),
    "start a program": can(lambda: subprocess.run(["/bin/true"])),
    "signal its parent": can(lambda: os.kill(int(parent), 0)),
    "become root": can(lambda: os.setuid(0 if os.getuid() else 1)),
    "leave a core": __import__("resource").getrlimit(__import__("resource").RLIMIT_CORE)[0] != 0,
    "keep a capability": "CapEff:\\t0000000000000000" not in Path("/proc/self/status").read_text(),
    "gain privileges": ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) != 1,
    "read the code": can(lambda: Path(sys.modules[confine.__module__].__file__).read_bytes()),
}))
"""
_MAY = {"write to its folder", "read the code"}
_MAY_BE_CLOSED_TO_ANYBODY = {
    "missing",
    "read accounts",
    "read its parent's memory",
    "become root",
    "keep a capability",
    "leave a core",
}


def tried(state: Path, manner: str) -> dict[str, Any]:
    """What such a process could do, by name, with a secret in the folder `state`."""
    secret = state / "stack.env"
    secret.write_text("MASTER_KEY=k")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as by_path,
        private_folder() as folder,
    ):
        by_path.bind(f"{secret}.socket")
        by_path.listen()
        arguments = (str(folder), str(secret), str(server.getsockname()[1]), str(os.getpid()), manner)
        result = subprocess.run(
            [sys.executable, "-c", _HOSTILE, *arguments],
            cwd=ROOT,
            env=clean_environment(os.environ, folder),
            capture_output=True,
            text=True,
        )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_hostile_code_finds_every_door_closed(tmp_path):
    found = tried(tmp_path, "confined")
    assert set(found["missing"]) <= {NAMESPACES, FILES, CALLS}
    if found["missing"]:
        pytest.skip(f"This kernel lacks {found['missing']}.")
    assert {name for name, could in found.items() if could} == _MAY


def test_without_the_fences_the_same_doors_are_open(tmp_path):
    found = tried(tmp_path, "free")
    assert {name for name, could in found.items() if not could} <= _MAY_BE_CLOSED_TO_ANYBODY


def test_a_worker_hides_its_memory_from_other_processes_and_leaves_no_core():
    code = (
        "import ctypes\n"
        "from training.confined.fences import hide_memory\n"
        "hide_memory()\n"
        "PR_GET_DUMPABLE = 3\n"
        "print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "0\n", result.stderr


def test_a_folder_is_private_and_gone_afterwards():
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "left").touch()
    assert not folder.exists()


def test_what_killed_processes_left_is_deleted_and_what_lives_is_not():
    with private_folder() as living:
        code = (
            "import os, signal\n"
            "from training.confined.folders import private_folder\n"
            "with private_folder() as folder:\n"
            "    print(folder, flush=True)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        left = Path(killed.stdout.strip())
        assert left.exists()
        with private_folder():
            assert not left.exists()
            assert living.exists()
