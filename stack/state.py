"""The state folder: its lock, and the file of what the stack remembers."""

import fcntl
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from core.config import STACK_FILE, read_env_file
from core.waiting import wait_until
from stack.errors import StackError

_LEFTOVER_SECONDS = 30


class StateFolder:
    """A state folder, ours alone while we are in its `with` block.

    Every process of the stack inherits the lock's file descriptor, `lock`: a folder is free again when the last
    of them has ended, even if their supervisor was killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.lock = -1

    def __enter__(self) -> Self:
        """Take the folder, making it if need be.

        Raises StackError if another stack has it, or if what a killed one left does not end.
        """
        # Postgres, which as root runs as another user, must be able to pass through.
        if not self.path.exists():
            self.path.mkdir(parents=True)
            self.path.chmod(0o711)
        self.lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take()
        except BaseException:
            os.close(self.lock)
            raise
        os.truncate(self.lock, 0)
        os.pwrite(self.lock, str(os.getpid()).encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.lock)

    def remembered(self) -> dict[str, str]:
        """What the last stack wrote."""
        return read_env_file(self.path / STACK_FILE)

    def remember(self, values: Mapping[str, str]) -> None:
        """Write `values`, for the next stack and for commands in another shell; readable by us alone."""
        with tempfile.NamedTemporaryFile("w", dir=self.path, delete=False) as file:
            file.write(
                "# Written by the stack. It holds secrets, and the data cannot be read without them.\n"
            )
            file.writelines(f"{name}={value}\n" for name, value in sorted(values.items()))
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self.path / STACK_FILE)

    def _take(self) -> None:
        if self._try_lock():
            return
        holder = os.pread(self.lock, 20, 0).decode()
        if holder.isdecimal() and _runs(int(holder)):
            raise StackError(
                f"Another stack (process {holder}) runs on {self.path}. "
                "Stop it first, or set STATE_DIR to another folder."
            )
        if not wait_until(self._try_lock, _LEFTOVER_SECONDS):
            raise StackError(
                f"Processes that an earlier stack left still use {self.path}. "
                "End them, or set STATE_DIR to another folder."
            )

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
