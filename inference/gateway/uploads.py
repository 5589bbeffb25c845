"""Uploads over the API: each goes from the network straight into its tenant's encrypted blob.

The parts of a form with a file are read by a parser of our own making: Flask's writes larger files to a temporary
folder as they are, and texts with personal data must not lie on a disk like that.
"""

import io
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO
from uuid import UUID, uuid4

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from core.config import get_settings
from core.db import tenant_session
from core.storage import Blob, BlobWriter, blob_store, tenant_key
from core.tenancy import TenantScope
from inference.gateway.errors import ApiError, ErrorType

HEAD_BYTES = 64 * 1024
_OTHER_FIELDS_BYTES = 64 * 1024
_MOST_PARTS = 20
_LONGEST_NAME = 255


def blob_name(file_id: UUID) -> str:
    """The blob that a file's content is written to."""
    return f"files/{file_id}"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived: `head` is its beginning. Without `commit()` nothing of it stays."""

    file_id: UUID
    filename: str
    purpose: str
    head: bytes
    writer: BlobWriter

    def commit(self) -> Blob:
        return self.writer.commit()


@contextmanager
def receive_upload(scope: TenantScope) -> Iterator[Upload]:
    """The request's form with `file` and `purpose`. Raises ApiError, and 413 where the file is too large."""
    request.max_content_length = get_settings().max_upload_bytes + _OTHER_FIELDS_BYTES
    sinks: list[_Sink] = []

    def open_sink(*_: object, **__: object) -> IO[bytes]:
        sinks.append(_Sink(scope, get_settings().max_upload_bytes))
        return sinks[-1]  # type: ignore[return-value]

    parser = FormDataParser(
        open_sink, max_form_memory_size=_OTHER_FIELDS_BYTES, max_form_parts=_MOST_PARTS, silent=False
    )
    try:
        try:
            _, fields, files = parser.parse(
                request.stream, request.mimetype, request.content_length, request.mimetype_params
            )
        except ValueError:
            raise _invalid("The body is not a form as multipart/form-data sends it.", None) from None
        if "file" not in files or len(sinks) != 1:
            raise _invalid("Send one file, as the field 'file' of a multipart/form-data body.", "file")
        if "purpose" not in fields:
            raise _invalid("'purpose' is missing: send 'fine-tune' or 'batch'.", "purpose")
        sink = sinks[0]
        yield Upload(
            sink.file_id,
            _clean_name(files["file"].filename),
            fields["purpose"],
            bytes(sink.head),
            sink.writer,
        )
    finally:
        for sink in sinks:
            sink.close()


class _Sink(io.RawIOBase):
    """What the form's parser writes a file to."""

    def __init__(self, scope: TenantScope, limit: int) -> None:
        super().__init__()
        self.file_id = uuid4()
        self.head = bytearray()
        self._left = limit
        with tenant_session(scope) as session:
            key = tenant_key(session, scope.tenant_id)
        self.writer = blob_store().open_writer(key, blob_name(self.file_id))

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        self._left -= len(data)
        if self._left < 0:
            raise RequestEntityTooLarge
        self.head += data[: HEAD_BYTES - len(self.head)]
        return self.writer.write(data)

    def seek(self, _offset: int, _whence: int = io.SEEK_SET, /) -> int:
        """The parser rewinds what it has written; a file is read from its blob only."""
        return 0

    def close(self) -> None:
        self.writer.close()
        super().close()


def _clean_name(given: str | None) -> str:
    """The file's name without folders and without what cannot be shown."""
    name = PurePosixPath(PureWindowsPath(given or "").name).name
    shown = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    return shown[-_LONGEST_NAME:] or "upload.jsonl"


def _invalid(message: str, param: str | None) -> ApiError:
    return ApiError(400, ErrorType.INVALID_REQUEST, "invalid_file", message, param=param)
