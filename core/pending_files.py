"""Files that appear under their name as a whole, when they are committed, or never."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Protocol
from uuid import uuid4

from fsspec import AbstractFileSystem


class PendingFile(Protocol):
    """A file that is being written and has no name yet."""

    def write(self, data: bytes, /) -> object:
        """Append all of `data`."""

    def commit(self) -> None:
        """Give the file its name, durably; what was there before is replaced."""

    def discard(self) -> None:
        """Drop what was written."""


class LocalPendingFile:
    """Written aside, synced, renamed: a crash at any moment leaves the old file or the new one."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        # Aside, but below the same root: a rename is atomic within one file system only.
        folder = root / ".incoming"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._aside = folder / uuid4().hex
        self._descriptor = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(self, data: bytes, /) -> object:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return len(data)

    def commit(self) -> None:
        folder = self._path.parent
        try:
            os.fsync(self._descriptor)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._aside.replace(self._path)
        except BaseException:
            self.discard()
            raise
        os.close(self._descriptor)
        # A name is an entry in its folder, and a folder that was just made is one in its parent.
        for changed in (folder, *folder.parents):
            _sync_folder(changed)
            if changed == self._root:
                break

    def discard(self) -> None:
        os.close(self._descriptor)
        self._aside.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RemotePendingFile:
    """Collected in a temporary file and uploaded at the end, as one object.

    Uploading while it is written would save the disk, but what fsspec's file systems do with an upload that is
    broken off differs: some make an object of what they have.
    """

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        self._aside = NamedTemporaryFile(prefix="adaptary-")  # noqa: SIM115 - closed by commit or discard

    def write(self, data: bytes, /) -> object:
        return self._aside.write(data)

    def commit(self) -> None:
        with self._aside:
            self._aside.flush()
            self._fs.makedirs(self._fs._parent(self._path), exist_ok=True)
            self._fs.put_file(self._aside.name, self._path)

    def discard(self) -> None:
        self._aside.close()
