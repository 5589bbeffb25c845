"""Landlock: the kernel's own way for a process to give up files, TCP ports and signals, for good and without root.

See landlock(7). Called by number, since libc has no functions for it; the numbers are the same on every architecture.
"""

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_TRUNCATE = 1 << 14
_IOCTL = 1 << 15
# By version: which rights over files the kernel knows, all of which are given up.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_TCP = 0b11  # bind and connect, from version 4 on
_SCOPES = 0b11  # abstract sockets and signals stay inside, from version 6 on

READ = _READ_FILE | _READ_DIR
USE_DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL
KEEP = (1 << 15) - 1 & ~_EXECUTE
"""Everything with files and folders but to run them."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def restrict(rules: Iterable[tuple[Path, int]]) -> bool:
    """Give up all files but those at or below the `rules`' paths, with the rights that stand beside; all TCP; and signals
    to and traces of other processes. Paths that are not there are left out.

    Whether the kernel has Landlock. The process must have given up new privileges before.
    """
    version = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    files = _FILE_RIGHTS[max(known for known in _FILE_RIGHTS if known <= version)]
    ruleset = _Ruleset(files, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    descriptor = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(_size(version)), 0)
    try:
        for path, rights in rules:
            with suppress(OSError):
                _allow(descriptor, path, rights & files)
        _call(_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
    return True


def _size(version: int) -> int:
    """How much of the ruleset a kernel of this version knows."""
    return 8 if version < 4 else 16 if version < 6 else 24


def _allow(ruleset: int, path: Path, rights: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathRule(rights if path.is_dir() else rights & _OF_FILES, parent)
        _call(_ADD_RULE, ruleset, _RULE_PATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
