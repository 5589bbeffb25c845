"""Child processes: each in a session of its own, with its output in a file, ending with its parent."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from core.lifetime import end_with_parent
from core.waiting import wait_until
from stack.unprivileged import User

Child = subprocess.Popen[bytes]

ROOT = Path(__file__).parent.parent


def spawn(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    log: Path | None,
    death_signal: signal.Signals = signal.SIGKILL,
    user: User | None = None,
    keep_open: Sequence[int] = (),
) -> Child:
    """Start `command` with its output appended to `log`, or where that is None, going where ours goes.

    It gets `death_signal` when this process ends, even by kill -9. `keep_open` are file descriptors that it
    inherits. To be called from the main thread.
    """
    parent = os.getpid()
    with _open(log) as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            # Ctrl-C at a terminal reaches the supervisor alone, which stops its children in order.
            start_new_session=True,
            pass_fds=tuple(keep_open),
            preexec_fn=lambda: end_with_parent(parent, death_signal),  # noqa: PLW1509 - the stack has one thread
            **(user.popen_arguments() if user else {}),
        )


def _open(log: Path | None) -> AbstractContextManager[BinaryIO | None]:
    if log is None:
        return nullcontext()
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return log.open("ab")


def has_ended(child: Child) -> bool:
    """Whether `child` has ended. It is not reaped, so that its id and its group's stay its own."""
    if child.returncode is not None:
        return True
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def clear_away(child: Child) -> int:
    """Kill what is left of `child` and its process group, and return its exit status."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def stop(child: Child, *, number: signal.Signals = signal.SIGTERM, grace_seconds: float = 10) -> int:
    """Ask `child` to end with signal `number`, kill it if it has not after `grace_seconds`, and return its
    exit status."""
    if not has_ended(child):
        child.send_signal(number)
        wait_until(lambda: has_ended(child), grace_seconds)
    return clear_away(child)
