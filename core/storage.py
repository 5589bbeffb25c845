"""Blobs: datasets, checkpoints and adapters, encrypted under their tenant's key on any file system."""

import contextlib
import io
import re
from functools import cache
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import fsspec
from fsspec.implementations.local import LocalFileSystem
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.blob_format import Blob, BlobCorrupt, BlobReader, BlobWriter
from core.config import get_settings
from core.crypto import KeyRejected, TenantKey, unwrap
from core.models.tenants import Tenant
from core.pending_files import LocalPendingFile, PendingFile, RemotePendingFile

__all__ = [
    "Blob",
    "BlobCorrupt",
    "BlobNotFound",
    "BlobStore",
    "BlobWriter",
    "TenantKey",
    "blob_store",
    "open_tenant_key",
    "tenant_key",
]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class BlobNotFound(Exception):
    """There is no blob of that name."""


class BlobStore:
    """Blobs below one fsspec URL (`file:///var/lib/adaptary/blobs`, `s3://bucket/blobs`, …)."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def open_writer(self, tenant: TenantKey, name: str) -> BlobWriter:
        """A writer whose `commit()` makes, or replaces, the tenant's blob `name` ("adapters/….safetensors").

        Until then, and where it is closed without, nothing is to be seen of it.
        """
        path = self._path(tenant, name)
        file: PendingFile
        if isinstance(self._fs, LocalFileSystem):
            file = LocalPendingFile(Path(self._root), Path(path))
        else:
            file = RemotePendingFile(self._fs, path)
        return BlobWriter(file, tenant, name)

    def put(self, tenant: TenantKey, name: str, data: bytes) -> Blob:
        """Store `data` as the tenant's blob `name`."""
        with self.open_writer(tenant, name) as writer:
            writer.write(data)
            return writer.commit()

    def open(self, tenant: TenantKey, name: str, digest: str | None = None) -> BinaryIO:
        """The blob's plaintext as a seekable binary file, each chunk verified before any of it is returned.

        With `digest`, a blob of any other content is refused before the first byte.
        Raises BlobNotFound and BlobCorrupt here, and BlobCorrupt on reading.
        """
        try:
            file = self._fs.open(self._path(tenant, name), "rb")
        except FileNotFoundError:
            raise BlobNotFound(f"There is no blob {name}.") from None
        try:
            return io.BufferedReader(BlobReader(file, tenant, name, digest))
        except BaseException:
            file.close()
            raise

    def get(self, tenant: TenantKey, name: str, digest: str | None = None) -> bytes:
        """The whole plaintext. Raises BlobNotFound and BlobCorrupt."""
        with self.open(tenant, name, digest) as file:
            return file.read()

    def delete(self, tenant: TenantKey, name: str) -> None:
        """Delete the blob; there may be none."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(tenant, name))

    def sizes(self, tenant_id: UUID) -> dict[str, int]:
        """The sealed size in bytes of every blob of a tenant, by name; needs no key."""
        folder = self._folder(tenant_id)
        found = self._fs.find(folder, detail=True)
        return {path.removeprefix(f"{folder}/"): info["size"] for path, info in sorted(found.items())}

    def delete_all(self, tenant_id: UUID) -> None:
        """Delete every blob of a tenant; needs no key, and there may be none."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._folder(tenant_id), recursive=True)

    def _folder(self, tenant_id: UUID) -> str:
        return f"{self._root}/{tenant_id}"

    def _path(self, tenant: TenantKey, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no blob name: use letters, digits and ._- between slashes.")
        return f"{self._folder(tenant.tenant_id)}/{name}"


@cache
def blob_store() -> BlobStore:
    """This process's store, as its settings say."""
    return BlobStore(get_settings().blob_url)


def tenant_key(session: Session, tenant_id: UUID) -> TenantKey:
    """The data key of a tenant that `session` may see. Raises KeyRejected where there is none that opens."""
    wrapped = session.scalar(select(Tenant.wrapped_data_key).where(Tenant.id == tenant_id))
    if wrapped is None:
        raise KeyRejected(f"There is no data key of a tenant {tenant_id}.")
    return open_tenant_key(tenant_id, wrapped)


def open_tenant_key(tenant_id: UUID, wrapped: bytes) -> TenantKey:
    """The data key that a tenant's row holds wrapped, under MASTER_KEY or MASTER_KEY_OLD. Raises KeyRejected."""
    settings = get_settings()
    try:
        return unwrap(settings.master_key, tenant_id, wrapped)
    except KeyRejected:
        if not settings.master_key_old:
            raise
    return unwrap(settings.master_key_old, tenant_id, wrapped)
