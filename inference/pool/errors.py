"""Answers of the pool other than 200."""

from typing import Any

from starlette.responses import JSONResponse, Response


class PoolError(Exception):
    """Such an answer: its status, its code for the gateway, and what else the gateway needs."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None, **detail: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    def response(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse({"error": self.code, "message": str(self), **self.detail}, self.status, headers)
