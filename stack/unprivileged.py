"""Running as another user where we are root: Postgres refuses to be it."""

import os
import pwd
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# For root alone, where the user cannot reach the folder that Adaptary is in.
SHARED_FOLDER = Path("/var/lib/adaptary")


@dataclass(frozen=True, slots=True)
class User:
    """A user of the system that root starts a process as."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """What `subprocess.Popen` needs to become this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_reach(self, path: Path) -> bool:
        """Whether this user may enter the folder `path`. Asked of the system, which knows every rule."""
        enter = ["/bin/sh", "-c", 'cd "$1"', "sh", str(path)]
        quietly = self.popen_arguments() | {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(enter, cwd="/", **quietly).wait() == 0

    def own(self, path: Path) -> None:
        """Give `path` itself to this user."""
        os.chown(path, self.uid, self.gid)


def unprivileged_user() -> User | None:
    """The user to run as in root's place; None where we are not root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def reachable_folder(path: Path, user: User | None) -> Path:
    """The folder `path`, made if need be, or where `user` cannot reach it, one elsewhere that `path` links to.

    It belongs to `user`, or to us where that is None.
    """
    if path.is_symlink() and not path.exists():
        path.unlink()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if user is None or user.can_reach(path.parent):
            path.mkdir(mode=0o700)
        else:
            path.symlink_to(_new_shared_folder(path.name), target_is_directory=True)
        if user is not None:
            user.own(path)
    return path.resolve()


def _new_shared_folder(name: str) -> Path:
    SHARED_FOLDER.mkdir(mode=0o711, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SHARED_FOLDER))
