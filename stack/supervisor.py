"""Starts processes in order, keeps them running, and stops them in reverse order."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.waiting import wait_until
from stack.child import Child, clear_away, has_ended, spawn, stop
from stack.errors import StackError
from stack.unprivileged import User

_WATCH_SECONDS = 0.1
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0
# A process that ran for this long had started well: its next end is a new trouble, not the same again.
_HEALTHY_SECONDS = 60.0
_LOG_TAIL_LINES = 20

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process to supervise.

    `is_ready` is given the process id and says whether it does its work; `prepare` runs before each start.
    `stop_signal` asks it to end, and the kernel sends `death_signal` if the supervisor itself is killed.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    is_ready: Callable[[int], bool] = lambda _pid: True
    prepare: Callable[[], None] = lambda: None
    start_seconds: float = 60
    grace_seconds: float = 15
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    user: User | None = None


@dataclass
class _Entry:
    process: Process
    child: Child
    started: float
    restart_at: float | None = None
    backoff: float = field(default=_FIRST_BACKOFF_SECONDS)


class Supervisor:
    """The processes that it has started, in their order.

    Use it in the main thread only: the kernel ends a child with the thread that made it. `say` is told what a
    person should know. `keep_open` are file descriptors that every child inherits.
    """

    def __init__(
        self,
        logs: Path,
        *,
        say: Callable[[str], None] = print,
        keep_open: Sequence[int] = (),
        clock: Clock = time.monotonic,
    ) -> None:
        self._logs = logs
        self._say = say
        self._keep_open = keep_open
        self._clock = clock
        self._entries: list[_Entry] = []

    def start(self, process: Process) -> None:
        """Start `process` and return once it is ready.

        Raises StackError with the end of its log if it ends first or is not ready in time.
        """
        child = self._add(process).child
        if not wait_until(lambda: has_ended(child) or process.is_ready(child.pid), process.start_seconds):
            raise StackError(self._why(process, f"was not ready after {process.start_seconds:.0f} s"))
        if has_ended(child):
            raise StackError(self._why(process, f"ended at once ({_status(clear_away(child))})"))

    def run(self, process: Process) -> None:
        """Start `process`, which ends by itself, and return once it has.

        Raises StackError with the end of its log if it fails or takes too long.
        """
        entry = self._add(process)
        if not wait_until(lambda: has_ended(entry.child), process.start_seconds):
            raise StackError(self._why(process, f"took longer than {process.start_seconds:.0f} s"))
        self._entries.remove(entry)
        if status := clear_away(entry.child):
            raise StackError(self._why(process, f"failed ({_status(status)})"))

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart whatever ends, until `until` says so."""
        while not until():
            for entry in self._entries:
                self._look_after(entry)
            time.sleep(_WATCH_SECONDS)

    def stop(self) -> None:
        """Stop every process, the last one started first."""
        while self._entries:
            entry = self._entries.pop()
            process = entry.process
            stop(entry.child, number=process.stop_signal, grace_seconds=process.grace_seconds)

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _add(self, process: Process) -> _Entry:
        entry = _Entry(process, self._spawn(process), self._clock())
        self._entries.append(entry)
        return entry

    def _look_after(self, entry: _Entry) -> None:
        now, process = self._clock(), entry.process
        if entry.restart_at is None and has_ended(entry.child):
            status = _status(clear_away(entry.child))
            if now - entry.started > _HEALTHY_SECONDS:
                entry.backoff = _FIRST_BACKOFF_SECONDS
            entry.restart_at = now + entry.backoff
            self._say(
                f"{process.name} ended ({status}); starting it again in {entry.backoff:g} s. "
                f"Its log is {self.log_of(process.name)}"
            )
            entry.backoff = min(entry.backoff * 2, _LONGEST_BACKOFF_SECONDS)
        elif entry.restart_at is not None and now >= entry.restart_at:
            try:
                entry.child = self._spawn(process)
            except (StackError, OSError) as error:
                self._say(f"{process.name} could not be started: {error}")
                entry.restart_at = now + entry.backoff
                return
            entry.started, entry.restart_at = now, None

    def _spawn(self, process: Process) -> Child:
        process.prepare()
        return spawn(
            process.command,
            environ=process.environ,
            log=self.log_of(process.name),
            death_signal=process.death_signal,
            user=process.user,
            keep_open=self._keep_open,
        )

    def _why(self, process: Process, what: str) -> str:
        log = self.log_of(process.name)
        lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"{process.name} {what}. The end of {log}:", *(f"  {line}" for line in lines)])


def _status(code: int) -> str:
    """`code`, an exit status as subprocess gives it, in words."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
