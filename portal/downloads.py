"""Files that the portal makes and hands out."""

from collections.abc import Iterable, Iterator

from flask import Response

_MARK = b"\xef\xbb\xbf"
"""Tells spreadsheets that the text is UTF-8."""


def csv_file(text: str, name: str) -> Response:
    """A CSV to keep under `name`, which is ASCII and ends in .csv."""
    return _file(_MARK + text.encode(), "text/csv; charset=utf-8", name)


def csv_stream(parts: Iterable[str], name: str) -> Response:
    """The same of a text that is made while it is sent: after the request's own session is closed."""

    def marked() -> Iterator[bytes]:
        yield _MARK
        for part in parts:
            yield part.encode()

    return _file(marked(), "text/csv; charset=utf-8", name)


def pdf_file(content: bytes, name: str) -> Response:
    """A PDF to keep under `name`, which is ASCII and ends in .pdf."""
    return _file(content, "application/pdf", name)


def _file(content: bytes | Iterator[bytes], content_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, content_type=content_type, headers=headers)
