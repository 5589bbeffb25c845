"""Files that the portal makes and hands out."""

from flask import Response


def csv_file(text: str, name: str) -> Response:
    """A CSV to keep under `name`, which is ASCII and ends in .csv."""
    # The mark tells spreadsheets that the text is UTF-8.
    return _file(b"\xef\xbb\xbf" + text.encode(), "text/csv; charset=utf-8", name)


def pdf_file(content: bytes, name: str) -> Response:
    """A PDF to keep under `name`, which is ASCII and ends in .pdf."""
    return _file(content, "application/pdf", name)


def _file(content: bytes, content_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, content_type=content_type, headers=headers)
