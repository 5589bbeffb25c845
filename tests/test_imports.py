"""Who imports whom: the layers hold, and the processes that need no torch have none."""

import os
import subprocess
import sys

import pytest

from stack.child import ROOT

# What each process loads, with `create_*` behind wsgi's lazy names.
PROCESSES = {
    "web": "import wsgi; wsgi.portal",
    "api": "import wsgi; wsgi.api",
    "clock": "import wsgi; wsgi.app; import portal.clock",
    "worker": "import training.worker, training.tasks",
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_process_imports_no_torch(services, process):
    result = run(f"import sys\n{PROCESSES[process]}\nassert 'torch' not in sys.modules")
    assert result.returncode == 0, result.stderr


def test_the_pool_imports_no_database():
    forbidden = ("sqlalchemy", "psycopg", "redis", "flask", "core.db")
    result = run(f"import sys, inference.pool.__main__\nprint(set({forbidden}) & set(sys.modules))")
    assert result.stdout == "set()\n", result.stderr


def test_imports_go_down_only():
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
    ]
    result = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
