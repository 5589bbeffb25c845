"""The format of a blob: sealed chunk by chunk, written in one pass, read in any order, in constant memory.

    "ADBLOB1\\0" | salt (32) | chunk 0 | chunk 1 | … | footer: size (8), SHA-256 of the plaintext (32)

Every chunk (1 MiB of plaintext) and the footer are sealed with AES-256-GCM under a key of this blob alone. The
nonce is the frame's number and a flag that marks the footer; tenant and name are associated data. So a blob that
was changed, cut short, put together from others, renamed or handed to another tenant does not open.
docs/adr/0004-encrypted-storage.md has the reasons.
"""

import hashlib
import io
import os
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.crypto import TenantKey, derive_key
from core.pending_files import PendingFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CHUNK_BYTES = 1 << 20
_TAG_BYTES = 16
_MAGIC = b"ADBLOB1\0"
_SALT_BYTES = 32
_HEADER_BYTES = len(_MAGIC) + _SALT_BYTES
_FOOTER_BYTES = 8 + 32 + _TAG_BYTES
_PURPOSE = "adaptary blob v1"


class BlobCorrupt(Exception):
    """A blob is not what was written: changed, cut short, moved, or of another tenant."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What was written: its name, its size in bytes, and the SHA-256 (hex) of its plaintext."""

    name: str
    size: int
    digest: str


class BlobWriter(io.RawIOBase):
    """A binary file to write to, in pieces of any size; at most one chunk is held in memory.

    It counts once it is committed: to close it before, or to leave its `with` block, drops what was written.
    """

    def __init__(self, file: PendingFile, tenant: TenantKey, name: str) -> None:
        super().__init__()
        self._file = file
        self._name = name
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self._size = 0
        salt = os.urandom(_SALT_BYTES)
        self._frames = _Frames(tenant, name, salt)
        self._count = 0
        self._file.write(_MAGIC + salt)

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Append `data`; all of it is always taken."""
        self._check_open()
        with memoryview(data) as whole, whole.cast("B") as view:
            size = len(view)
            position = 0
            while position < size:
                taken = min(CHUNK_BYTES - len(self._buffer), size - position)
                self._buffer += view[position : position + taken]
                position += taken
                if len(self._buffer) == CHUNK_BYTES:
                    self._seal_chunk()
        return size

    def commit(self) -> Blob:
        """Make the blob, durably, and close the writer."""
        self._check_open()
        if self._buffer:
            self._seal_chunk()
        footer = self._size.to_bytes(8) + self._hash.digest()
        self._file.write(self._frames.seal(self._count, footer, is_footer=True))
        # Closed before it is committed, so that nothing discards a file that may have its name already.
        super().close()
        self._file.commit()
        return Blob(self._name, self._size, self._hash.hexdigest())

    def abort(self) -> None:
        """Drop what was written, and close the writer."""
        self.close()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _seal_chunk(self) -> None:
        self._hash.update(self._buffer)
        self._size += len(self._buffer)
        self._file.write(self._frames.seal(self._count, bytes(self._buffer)))
        self._count += 1
        self._buffer.clear()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"The writer of the blob {self._name} is closed.")


class BlobReader(io.RawIOBase):
    """Reads a blob in any order, one verified chunk in memory at a time."""

    def __init__(self, file: BinaryIO, tenant: TenantKey, name: str, digest: str | None) -> None:
        """Take over `file`, the sealed blob. Raises BlobCorrupt, also for content other than `digest`'s."""
        super().__init__()
        self._file = file
        self._name = name
        self._position = 0
        self._chunk = b""
        self._chunk_index = -1
        end = file.seek(0, io.SEEK_END)
        sealed_bytes = end - _HEADER_BYTES - _FOOTER_BYTES
        self._count = -(-sealed_bytes // (CHUNK_BYTES + _TAG_BYTES))
        self.size = sealed_bytes - self._count * _TAG_BYTES
        if sealed_bytes < 0:
            raise self._corrupt()
        file.seek(0)
        header = self._read_exactly(_HEADER_BYTES)
        if not header.startswith(_MAGIC):
            raise self._corrupt()
        self._frames = _Frames(tenant, name, header[len(_MAGIC) :])
        file.seek(end - _FOOTER_BYTES)
        footer = self._open_frame(self._count, _FOOTER_BYTES, is_footer=True)
        # The footer's number is the count of chunks, so that it opens only where none is missing.
        if int.from_bytes(footer[:8]) != self.size:
            raise self._corrupt()
        if digest is not None and digest != footer[8:].hex():
            raise BlobCorrupt(f"The blob {self._name} has other content than its record says.")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError("A position before the start of the blob")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if self._position >= self.size:
            return 0
        index, offset = divmod(self._position, CHUNK_BYTES)
        if index != self._chunk_index:
            self._chunk = self._read_chunk(index)
            self._chunk_index = index
        with memoryview(buffer) as whole, whole.cast("B") as view:
            taken = min(len(view), len(self._chunk) - offset)
            view[:taken] = self._chunk[offset : offset + taken]
        self._position += taken
        return taken

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()

    def _read_chunk(self, index: int) -> bytes:
        self._file.seek(_HEADER_BYTES + index * (CHUNK_BYTES + _TAG_BYTES))
        plain = min(CHUNK_BYTES, self.size - index * CHUNK_BYTES)
        return self._open_frame(index, plain + _TAG_BYTES)

    def _open_frame(self, index: int, size: int, *, is_footer: bool = False) -> bytes:
        try:
            return self._frames.open(index, self._read_exactly(size), is_footer=is_footer)
        except InvalidTag:
            raise self._corrupt() from None

    def _read_exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise self._corrupt()
        return data

    def _corrupt(self) -> BlobCorrupt:
        return BlobCorrupt(
            f"The blob {self._name} is damaged, or was not written under this name and tenant."
        )


class _Frames:
    """Seals and opens the frames of one blob, under a key that its random salt makes its own.

    With a key of its own, a blob may simply count its nonces, and no two blobs of a tenant can ever share one.
    """

    def __init__(self, tenant: TenantKey, name: str, salt: bytes) -> None:
        self._cipher = AESGCM(derive_key(tenant.data_key, _PURPOSE, salt))
        self._binding = _MAGIC + tenant.tenant_id.bytes + name.encode()

    def seal(self, index: int, plain: bytes, *, is_footer: bool = False) -> bytes:
        return self._cipher.encrypt(self._nonce(index, is_footer), plain, self._binding)

    def open(self, index: int, sealed: bytes, *, is_footer: bool = False) -> bytes:
        """Raises InvalidTag."""
        return self._cipher.decrypt(self._nonce(index, is_footer), sealed, self._binding)

    @staticmethod
    def _nonce(index: int, is_footer: bool) -> bytes:
        return index.to_bytes(11) + bytes([is_footer])
