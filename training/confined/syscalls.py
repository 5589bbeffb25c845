"""System calls that a process gives up for good, by a seccomp filter: ways to other processes, programs and networks that
neither namespaces nor Landlock close. A Unix socket, for one, is reached by its path whatever the network.

See seccomp(2). The filter is a program of the kernel's packet filter, a few comparisons long.
"""

import ctypes
import errno
import platform
from collections.abc import Iterator

_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE = 0, 4
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_OTHER_ABI = 0x40000000  # on x86, numbers from here on mean the same calls by another name

# By machine: how the kernel calls it, and its numbers of
#   socket, io_uring_setup, which could make one; execve, execveat; ptrace, process_vm_readv, process_vm_writev;
#   bpf, perf_event_open, userfaultfd; add_key, request_key, keyctl; unshare, setns
_MACHINES = {
    "x86_64": (0xC000003E, (41, 425, 59, 322, 101, 310, 311, 321, 298, 323, 248, 249, 250, 272, 308)),
    "aarch64": (0xC00000B7, (198, 425, 221, 281, 117, 270, 271, 280, 241, 282, 217, 218, 219, 97, 268)),
}

_libc = ctypes.CDLL(None, use_errno=True)


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def restrict() -> bool:
    """Give the calls up; each then fails as not permitted. Whether this kernel and machine can.

    The process must have given up new privileges before.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return False
    instructions = tuple(_filter(*known))
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    return bool(_libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(architecture: int, numbers: tuple[int, ...]) -> Iterator[_Instruction]:
    yield _Instruction(_LOAD, 0, 0, _AT_ARCHITECTURE)
    yield _Instruction(_IF_EQUAL, 1, 0, architecture)
    yield _Instruction(_RETURN, 0, 0, _KILL)
    yield _Instruction(_LOAD, 0, 0, _AT_NUMBER)
    yield _Instruction(_IF_AT_LEAST, 0, 1, _OTHER_ABI)
    yield _Instruction(_RETURN, 0, 0, _REFUSE)
    for number in numbers:
        yield _Instruction(_IF_EQUAL, 0, 1, number)
        yield _Instruction(_RETURN, 0, 0, _REFUSE)
    yield _Instruction(_RETURN, 0, 0, _ALLOW)
