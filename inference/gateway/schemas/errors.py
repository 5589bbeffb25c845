"""The body of every answer that is not a success."""

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """`code` is for programs, `message` for people, `param` the wrong field, and `request_id` for writing to us."""

    type: str
    code: str
    message: str
    param: str | None
    request_id: str


class ErrorAnswer(BaseModel):
    error: ErrorDetail
