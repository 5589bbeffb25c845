"""What the process that trains gives up before it sees any data: files, network, privileges, other processes.

Each fence is put up without root where the kernel allows it. Those that it does not allow are named, so that the log
says what stands between a hostile upload and this machine.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from core.lifetime import end_with_parent
from training.confined import landlock, syscalls
from training.leases import LONGEST_RUN

ROOT = Path(__file__).parents[2]

NAMESPACES, FILES, CALLS = "namespaces", "files", "calls"
"""The fences that a kernel may lack: no network and nobody else's processes; no files but a few; no sockets and programs."""

_NEW_USER, _NEW_PROCESSES, _NEW_NETWORK, _NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
_NO_NEW_PRIVILEGES, _DUMPABLE = 38, 4
_CAPABILITIES_VERSION = 0x20080522

_MOST_FILES = 1024
_LARGEST_FILE = 64 << 20
_FIRST_TO_GO = "800"  # of 1000: when memory runs out, this process ends and not the database

_libc = ctypes.CDLL(None, use_errno=True)


def hide_memory() -> None:
    """Keep other processes of this user from reading this one's memory and environment, and it from leaving a core."""
    if sys.platform == "linux":
        _libc.prctl(_DUMPABLE, 0, 0, 0, 0)


def confine(parent: int, folder: Path) -> list[str]:
    """Put up the fences; returns those that this kernel does not have.

    parent: who started this process and whom it is not to outlive. folder: the only place that it may write to. To be
    called before anything starts a thread. Where there are namespaces, what returns is a child of the caller, the first
    process of a world of its own, and the caller waits for it and ends as it does.
    """
    os.umask(0o077)
    os.chdir(folder)
    end_with_parent(parent)
    _set_limits()
    if sys.platform != "linux":
        return [NAMESPACES, FILES, CALLS]
    missing = [] if _leave_for_own_world() else [NAMESPACES]
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _drop_capabilities()
    if not landlock.restrict(_rules(folder)):
        missing.append(FILES)
    if not syscalls.restrict():
        missing.append(CALLS)
    return missing


def _set_limits() -> None:
    """No address-space limit: a GPU's driver reserves more of it than there is memory."""
    seconds = int(LONGEST_RUN.total_seconds()) * (os.cpu_count() or 1)
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_CPU, seconds),
    ):
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)


def _leave_for_own_world() -> bool:
    """Whether the process that returns is alone: no network, no other's processes or shared memory, no root's rights."""
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_NEW_USER | _NEW_PROCESSES | _NEW_NETWORK | _NEW_IPC) != 0:
        return False
    # Under the same numbers. Some systems do not let it: then it is called nobody, and reads the same files.
    with suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    first = os.fork()
    if first:
        _, status = os.waitpid(first, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    # Its parent is outside, where it has no number. When the parent ends, so does it, and with it all of its world.
    end_with_parent(0)
    return True


def _drop_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    _libc.capset(ctypes.byref(header), ctypes.byref(none))


def _rules(folder: Path) -> Iterator[tuple[Path, int]]:
    """What may be read: programs' files and ours, and what the system says of itself; nothing that holds data or keys."""
    libraries = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    code = (f"{ROOT}/core", f"{ROOT}/training", sys.prefix, sys.base_prefix)
    for path in (*code, "/usr", "/lib", "/lib64", *libraries):
        yield Path(path), landlock.READ
    for name in ("ld.so.cache", "localtime", "nsswitch.conf", "passwd", "group", "os-release"):
        yield Path("/etc", name), landlock.READ
    for name in (
        "self",
        "cpuinfo",
        "meminfo",
        "stat",
        "devices",
        "modules",
        "driver",
        "sys/vm",
        "sys/kernel",
    ):
        yield Path("/proc", name), landlock.READ
    yield Path("/sys"), landlock.READ
    for device in (
        *map(Path, ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")),
        *Path("/dev").glob("nvidia*"),
    ):
        yield device, landlock.USE_DEVICE
    yield folder, landlock.KEEP
