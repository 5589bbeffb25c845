"""`python -m stack serve`, or `demo [--once]`: Adaptary's processes, all of them, on this machine."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from stack import processes
from stack.child import Child, spawn, stop
from stack.environment import StackEnvironment
from stack.errors import StackError
from stack.state import StateFolder
from stack.supervisor import Supervisor

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# The demo's tenants use less than the credit that new tenants have: its invoices would ask for nothing.
_DEMO_DEFAULTS = {"TRIAL_CREDIT_CENTS": "0"}


class _Stopped(Exception):
    """Somebody asked us to stop."""


def main(arguments: list[str]) -> int:
    """Run the stack as `arguments` say, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run until Ctrl-C")
    serve.add_argument("--ray", action="store_true", help="with the pool's engines on a Ray cluster")
    demo = commands.add_parser("demo", help="run, show what Adaptary does, and go on until Ctrl-C")
    demo.add_argument("--once", action="store_true", help="stop after the demo")
    options = parser.parse_args(arguments)
    _take_signals()
    try:
        with StateFolder(Path(os.environ.get("STATE_DIR") or ".adaptary")) as folder:
            return _run(folder, options)
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except _Stopped:
        return 0


def _run(folder: StateFolder, options: argparse.Namespace) -> int:
    shell = _DEMO_DEFAULTS | os.environ if options.command == "demo" else os.environ
    environment = StackEnvironment.prepare(shell, folder)
    supervisor = Supervisor(folder.logs, keep_open=[folder.lock])
    with _stopping(supervisor):
        _start(supervisor, environment, folder, ray=options.command == "serve" and options.ray)
        if options.command == "demo":
            status = _run_demo(supervisor, environment, options.once)
            if options.once or status != 0:
                return status
        print(f"\nLogs are in {_short(folder.logs)}. Ctrl-C stops everything.", flush=True)
        supervisor.watch(until=lambda: False)
    return 0


def _start(supervisor: Supervisor, environment: StackEnvironment, folder: StateFolder, *, ray: bool) -> None:
    """Start everything in order, telling how long each took."""
    print("Adaptary is starting", flush=True)
    for process in processes.servers(environment, folder):
        with _told(process.name):
            supervisor.start(process)
    migrations = processes.migrations(environment)
    with _told(migrations.name):
        supervisor.run(migrations)
    for process in processes.apps(environment, ray=ray):
        with _told(process.name):
            supervisor.start(process)
    print(f"\nPortal  {environment['PORTAL_URL']}\nAPI     {environment['API_URL']}/v1", flush=True)


def _run_demo(supervisor: Supervisor, environment: StackEnvironment, once: bool) -> int:
    """Run the demo beside the stack, in a process that talks to it as users and apps do."""
    command = [sys.executable, "-m", "stack.demo", *(["--once"] if once else [])]
    child: Child = spawn(command, environ=environment.for_apps(), log=None)
    try:
        supervisor.watch(until=lambda: child.poll() is not None)
    finally:
        stop(child, grace_seconds=2)
    return child.returncode


@contextmanager
def _stopping(supervisor: Supervisor) -> Iterator[None]:
    """Stop every process at the end of the block, however it ends."""
    try:
        yield
    finally:
        for number in _STOP_SIGNALS:  # once is enough
            signal.signal(number, signal.SIG_IGN)
        print("\nStopping …", end=" ", flush=True)
        supervisor.stop()
        print("stopped.", flush=True)


@contextmanager
def _told(name: str) -> Iterator[None]:
    started = time.monotonic()
    if sys.stdout.isatty():
        print(f"  … {name}", end="\r", flush=True)
    yield
    print(f"  ✓ {name:<12}{time.monotonic() - started:5.1f} s", flush=True)


def _take_signals() -> None:
    def raise_stopped(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _Stopped

    for number in _STOP_SIGNALS:
        signal.signal(number, raise_stopped)


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
