"""Processes that end with the process that started them, however that one ends."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def end_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process `number` when `parent`, which must be its parent, has ended.

    To be called in the child, after any change of user, which would undo it. On Linux only; elsewhere nothing
    is done. The kernel takes the thread that made the child for its parent: make children in the main thread.
    """
    if sys.platform != "linux":
        return
    _libc.prctl(_PR_SET_PDEATHSIG, number.value)
    if os.getppid() != parent:
        # It had ended before the kernel was told to watch it.
        os.kill(os.getpid(), signal.SIGKILL)
