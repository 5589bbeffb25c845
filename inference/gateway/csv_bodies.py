"""Texts in CSV, and answers in CSV, for whoever has a table rather than a program."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TypeVar

from flask import Response, request
from pydantic import BaseModel, Field, ValidationError

from billing.csv_export import to_csv
from inference.gateway.bodies import invalid_body, read_body
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.schemas.texts import TextsRequest

CSV = "text/csv"
_COLUMN = "text"
_TRUE = {"true": True, "1": True, "false": False, "0": False}

Texts = TypeVar("Texts", bound=TextsRequest)


class TableQuery(BaseModel):
    """What comes with a table, in the query."""

    model: str | None = Field(None, description="With a body of text/csv: the model's name.")
    truncate: bool = Field(
        False, description="With a body of text/csv: whether to cut texts that are too long."
    )


def read_texts(schema: type[Texts]) -> Texts:
    """The request's body: JSON, or with `Content-Type: text/csv` a table whose column `text` has the texts.

    With a table, `model` and `truncate` are in the query. Raises ApiError naming what is wrong.
    """
    if request.mimetype != CSV:
        return read_body(schema)
    truncate = request.args.get("truncate", "false").lower()
    values = {
        "model": request.args.get("model"),
        "input": _column(),
        "truncate": _TRUE.get(truncate, truncate),
    }
    try:
        return schema.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise invalid_body(error) from None


def wants_csv() -> bool:
    """Whether the client would rather have CSV than JSON."""
    return request.accept_mimetypes.best_match(["application/json", CSV]) == CSV


def csv_response(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> Response:
    """A table as the answer."""
    return Response(to_csv(header, rows), mimetype=CSV)


def _column() -> list[str]:
    try:
        table = request.get_data().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong("The table is not UTF-8. Save it as 'CSV UTF-8'.") from None
    reader = csv.reader(io.StringIO(table, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if header.count(_COLUMN) != 1:
            raise _wrong(f"The table's first line does not name one column {_COLUMN!r}.")
        return [_cell(row, header, reader.line_num) for row in reader if row]
    except csv.Error as error:
        raise _wrong(f"Line {reader.line_num} of the table is not CSV: {error}.") from None


def _cell(row: list[str], header: list[str], line: int) -> str:
    if len(row) != len(header):
        raise _wrong(
            f"Line {line} of the table has {len(row)} columns, and the first line has {len(header)}."
        )
    return row[header.index(_COLUMN)]


def _wrong(message: str) -> ApiError:
    return ApiError(400, ErrorType.INVALID_REQUEST, "invalid_body", message, param="input")
