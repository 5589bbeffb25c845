"""Uploads of datasets: each goes from the network straight into its tenant's encrypted blob.

Flask reads a form, files and all, as soon as anything asks for a field of it, and by default it writes larger
files to a temporary folder as they are. Texts with personal data must not lie on a disk like that.
"""

import io
from typing import IO
from uuid import UUID, uuid4

from flask import Request
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

from core.config import get_settings
from core.db import tenant_session
from core.storage import Blob, BlobWriter, blob_store, tenant_key
from core.tenancy import Permission, TenantScope
from portal.identity import SignedInUser
from training.data.datasets import upload_name

ENDPOINTS = frozenset({"datasets.new", "datasets.new_version"})
_OTHER_FIELDS_BYTES = 1 << 20


class EncryptedUpload(io.RawIOBase):
    """What the form's parser writes a file to: the raw upload of a dataset version that is to come.

    Without `commit()` nothing of it stays.
    """

    def __init__(self, scope: TenantScope, limit: int) -> None:
        super().__init__()
        self.version_id: UUID = uuid4()
        self._left = limit
        with tenant_session(scope) as session:
            key = tenant_key(session, scope.tenant_id)
        self._writer: BlobWriter = blob_store().open_writer(key, upload_name(self.version_id))

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        self._left -= len(data)
        if self._left < 0:
            raise RequestEntityTooLarge
        return self._writer.write(data)

    def seek(self, _offset: int, _whence: int = io.SEEK_SET, /) -> int:
        """The parser rewinds what it has written; an upload is read from its blob only."""
        return 0

    def commit(self) -> Blob:
        """Keep what was uploaded."""
        return self._writer.commit()

    def close(self) -> None:
        self._writer.close()
        super().close()


class _Ignored(io.RawIOBase):
    """Takes a file that nobody asked for, and keeps nothing of it."""

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        return len(data)

    def seek(self, _offset: int, _whence: int = io.SEEK_SET, /) -> int:
        return 0


class UploadRequest(Request):
    """A request that encrypts the file of an upload as it arrives, and ignores every other file."""

    _has_upload = False

    def _load_form_data(self) -> None:
        if self.endpoint in ENDPOINTS:
            self.max_content_length = get_settings().max_upload_bytes + _OTHER_FIELDS_BYTES
        super()._load_form_data()

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        # The form is read before the view and its checks of access run, so they are made here as well.
        person = current_user._get_current_object()
        if (
            self.endpoint in ENDPOINTS
            and filename
            and not self._has_upload
            and isinstance(person, SignedInUser)
            and person.scope.allows(Permission.DATASETS_WRITE)
        ):
            self._has_upload = True
            return EncryptedUpload(person.scope, get_settings().max_upload_bytes)  # type: ignore[return-value]
        return _Ignored()  # type: ignore[return-value]
